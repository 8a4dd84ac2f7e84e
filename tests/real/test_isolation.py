"""Environments in one browser keep apart: each has an origin of its own, and a page of one can
neither read another nor reach the command line of any."""

import json

import pytest
from browser import Tab, secrets_in
from flows import Three, Two

ONE, OTHER = "airflow2", "airflow332"


@pytest.fixture(scope="module")
def tab(fleet, browser):
    """A browser profile in which one environment is open."""
    for name in [ONE, OTHER]:
        fleet.ready(name)
    tab = Tab(browser, "isolation")
    Two(tab, fleet.url(ONE) + "/").open()
    yield tab
    tab.close()


def on_page(tab, script, *values):
    """What a script on the page of the first environment finds out."""
    return tab.page.evaluate(script, list(values))


def test_two_environments_work_in_one_browser(fleet, tab):
    other = tab.context.new_page()
    three = Three(tab, fleet.url(OTHER) + "/")
    three.page = other
    three.open()
    for _ in range(2):
        tab.page.reload()
        Two(tab, fleet.url(ONE)).list_dags()
        other.reload()
        three.open()
        three.list_dags()
    names = {(cookie["name"], cookie["domain"]) for cookie in tab.context.cookies()}
    assert not {name for name, _ in names} & {"session", "_token"}
    assert secrets_in(json.dumps(tab.context.cookies())) == []
    assert tab.failures() == []
    other.close()


# What a page tries. Each is a function of one list.
FETCH = """async ([url, options]) => {
    try {
        const reply = await fetch(url, options);
        return {type: reply.type, status: reply.status, text: await reply.text()};
    } catch (error) {
        return {refused: String(error)};
    }
}"""


def test_a_page_reads_its_own_environment(fleet, tab):
    """So that the tests below show walls and not broken scripts."""
    found = on_page(tab, FETCH, f"{fleet.url(ONE)}/api/v1/version", {})
    assert (found["status"], json.loads(found["text"])["version"]) == (200, "2.10.5")
    assert on_page(tab, FRAME, f"{fleet.url(ONE)}/api/v1/version")["text"]


@pytest.mark.parametrize("options", [{}, {"mode": "no-cors"}, {"credentials": "include"}])
@pytest.mark.parametrize("path", ["/api/v2/version", "/api/v2/variables", "/", "/-/"])
def test_a_page_cannot_read_another_environment(fleet, tab, path, options):
    found = on_page(tab, FETCH, fleet.url(OTHER) + path, options)
    assert "text" not in found or (found["type"], found["text"]) == ("opaque", ""), found


def test_a_page_cannot_write_to_another_environment(fleet, tab):
    airflow = fleet.airflows[OTHER]
    body = json.dumps({"key": "stolen", "value": "1"})
    for options in [
        {"method": "POST", "body": body, "mode": "no-cors"},
        {"method": "POST", "body": body, "headers": {"Content-Type": "application/json"}},
    ]:
        on_page(tab, FETCH, f"{fleet.url(OTHER)}/api/v2/variables", options)
    assert airflow.query("select 1 from variable where key = 'stolen'") == []


FORM = """([url, name, value]) => {
    const frame = document.createElement('iframe');
    frame.name = 'there';
    document.body.append(frame);
    const form = document.createElement('form');
    form.action = url;
    form.method = 'post';
    form.enctype = 'text/plain';
    form.target = 'there';
    const field = document.createElement('input');
    field.name = name;
    field.value = value;
    form.append(field);
    document.body.append(form);
    return new Promise(done => {
        frame.addEventListener('load', () => {
            done('loaded');
            frame.remove();
        });
        form.submit();
    });
}"""


@pytest.mark.parametrize("target", [ONE, OTHER])
def test_no_page_can_send_a_command(fleet, tab, target):
    """Neither that of another environment nor that of its own."""
    airflow = fleet.airflows[target]
    cli = f"{fleet.url(target)}/aws_mwaa/cli"
    command = "variables set from_a_page 1"
    for options in [
        {"method": "POST", "body": command},
        {"method": "POST", "body": command, "mode": "no-cors"},
        {"method": "POST", "body": command, "headers": {"Content-Type": "text/plain"}},
    ]:
        found = on_page(tab, FETCH, cli, options)
        assert found.get("status", 0) in (0, 403), found
    assert on_page(tab, FORM, cli, command, "") == "loaded"
    assert airflow.query("select 1 from variable where key = 'from_a_page'") == []


FRAME = """([url]) => new Promise(done => {
    const frame = document.createElement('iframe');
    frame.src = url;
    frame.addEventListener('load', () => {
        try {
            done({text: frame.contentDocument ? frame.contentDocument.body.innerText : null});
        } catch (error) {
            done({refused: String(error)});
        }
        frame.remove();
    });
    document.body.append(frame);
})"""


@pytest.mark.parametrize("path", ["/", "/auth/users/list/", "/-/"])
def test_a_page_cannot_frame_another_environment(fleet, tab, path):
    found = on_page(tab, FRAME, fleet.url(OTHER) + path)
    assert not found.get("text"), found


def test_a_page_cannot_sign_another_environment_out(fleet, tab):
    url = f"{fleet.url(OTHER)}/api/v2/auth/logout"
    revoked = "select count(*) from revoked_token"
    before = fleet.airflows[OTHER].query(revoked)
    on_page(tab, FETCH, url, {"mode": "no-cors", "credentials": "include"})
    on_page(tab, FRAME, url)
    assert fleet.airflows[OTHER].query(revoked) == before


def test_the_gateway_s_own_pages_are_not_scripted_by_an_environment(fleet, tab):
    found = on_page(tab, FETCH, fleet.gateway.url + "/-/", {})
    assert "refused" in found
