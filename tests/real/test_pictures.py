"""The pictures of the documents. Each is taken in every run; UPDATE_EXPECTED=1 writes it."""

import os

import pytest
from airflows import START
from browser import Tab
from flows import Three
from playwright.sync_api import expect
from programs import ROOT, Emulator, Gateway, curl

PICTURES = ROOT / "docs" / "images"

# The largest file that a document may load for a picture, in bytes.
LARGEST = 150_000


@pytest.fixture
def tab(browser, request):
    tab = Tab(browser, request.node.name.removeprefix("test_"))
    yield tab
    tab.close()


def take(tab, name, width, height):
    """Takes a picture of this size. It must show something, and the document must have one."""
    tab.page.set_viewport_size({"width": width, "height": height})
    picture = tab.page.screenshot()
    assert 10_000 < len(picture) <= LARGEST
    file = PICTURES / f"{name}.png"
    if os.environ.get("UPDATE_EXPECTED"):
        file.write_bytes(picture)
    size = [int.from_bytes(file.read_bytes()[at : at + 4]) for at in (16, 20)]
    assert size == [width, height], "the document's picture has another size"


def test_the_page_of_the_environments(tab, tmp_path):
    versions = {"analytics-prod": "2.10.3", "analytics-staging": "3.0.6"}
    options = [f"--airflow-version={name}={version}" for name, version in versions.items()]
    with Emulator(tmp_path, *options) as emulator:
        config = emulator.config
        config["environments"] = {name: config["environments"][name] for name in versions}
        config["environments"]["analytics-prod"]["default"] = True
        with Gateway(tmp_path, config, **emulator.credentials()) as gateway:
            port = gateway.url.rsplit(":", 1)[1]
            for name in versions:
                tab.page.goto(f"http://{name}.localhost:{port}/")
                headers = ["Content-Type: text/plain", f"Host: {name}.localhost:{port}"]
                assert curl(f"{gateway.url}/aws_mwaa/cli", headers, "dags list").status == 200
            assert gateway.cli("users list").status == 403
            tab.page.goto(f"http://localhost:{port}/-/")
            for name in versions:
                tab.page.get_by_role("heading", name=name).wait_for()
            tab.page.get_by_text("policy.unsupported_command").first.wait_for()
            # whether this machine resolves the names is not the picture's subject
            tab.page.get_by_text("This machine does not resolve").evaluate_all(
                "notes => notes.forEach(note => note.remove())"
            )
            take(tab, "environments", 1120, 920)


def test_the_ui_of_an_airflow(tab, fleet):
    fleet.ready("airflow332")
    ui = Three(tab, fleet.url("airflow332") + "/")
    ui.open()
    ui.list_dags()
    ui.open_grid()
    ui.trigger()
    # the run and its two tasks
    done = tab.page.get_by_text("Success", exact=True)
    expect(done).to_have_count(3, timeout=START * 1000)
    take(tab, "airflow-ui", 1360, 760)
