"""The UI of real Airflows in a real browser through the TLS listener: the origin is https here, so
that Referer, Origin and Location are others than on plain loopback."""

import subprocess
from urllib.parse import urlsplit

import pytest
from airflows import VERSIONS
from browser import Tab, secrets_in
from flows import Three, Two
from programs import Gateway


@pytest.fixture(scope="module")
def gateway(fleet, tmp_path_factory):
    """A second gateway to the same Airflows, with a certificate of its own."""
    home = tmp_path_factory.mktemp("tls")
    certificate, key = home / "gateway.pem", home / "gateway.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:*.localhost",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )
    key.chmod(0o600)
    tls = {"certificate": str(certificate), "key": str(key)}
    config = {**fleet.emulator.config, "listener": {"tls": tls}}
    with Gateway(home, config, **fleet.emulator.credentials()) as gateway:
        yield gateway


@pytest.mark.parametrize("name", VERSIONS)
def test_the_ui_works_over_tls(fleet, gateway, browser, name):
    airflow = fleet.ready(name)
    origin = f"https://{name}.localhost:{urlsplit(gateway.url).port}"
    tab = Tab(browser, f"{name}-tls")
    ui = (Two if airflow.major == 2 else Three)(tab, origin + "/")
    ui.open()
    ui.list_dags()
    ui.open_grid()
    ui.see_users()
    tab.shot("users")
    assert tab.failures() == []
    assert tab.origins() == {origin}
    assert secrets_in(str(tab.script_sees())) == []
    posts = [reply.status for reply in tab.replies if reply.request.method == "POST"]
    # Airflow 2 believes that it is on https, and then compares the Referer of each form
    assert airflow.major > 2 or (posts and set(posts) == {200})
    tab.close()
