"""The overview in a real browser: it updates itself, and only its own script gets the events."""

import pytest
from browser import Tab
from programs import eventually


@pytest.fixture
def tab(browser, gateway, request):
    tab = Tab(browser, request.node.name.removeprefix("test_"))
    tab.said = []
    tab.page.on("console", lambda message: tab.said.append(message.text))
    tab.page.on("pageerror", lambda error: tab.said.append(str(error)))
    yield tab
    tab.shot("end")
    tab.close()


def open_overview(tab, gateway):
    tab.page.goto(f"http://localhost:{gateway.url.rsplit(':', 1)[1]}/-/")
    tab.page.locator("#live.on").wait_for()


def refusals(tab):
    return tab.page.locator("#refusals tbody tr")


def streams_ended(gateway):
    """Requests for our pages are counted at their end."""
    return gateway.metric("mwaa_gateway_requests_total", kind="own")


def test_the_page_updates_itself_and_keeps_what_is_open(tab, gateway):
    open_overview(tab, gateway)
    recipes = tab.page.locator("details.recipes").first
    recipes.locator("summary").click()
    before = refusals(tab).count()
    assert gateway.cli("users list").status == 403
    refusals(tab).nth(before).wait_for()
    assert gateway.cli("version").status == 200
    tab.page.get_by_text("minted", exact=False).first.wait_for()
    # a chart has a name and a description for those who do not see it
    chart = tab.page.get_by_role("img", name="Requests, minute by minute")
    assert "at most" in chart.locator("desc").text_content()
    assert recipes.get_attribute("open") is not None
    assert tab.said == []


def test_a_hidden_tab_gets_no_events(tab, gateway):
    open_overview(tab, gateway)
    before = streams_ended(gateway)

    def become(hidden):
        tab.page.evaluate(
            """hidden => {
                Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )

    become(True)
    tab.page.locator("#live:not(.on)").wait_for()
    eventually(lambda: streams_ended(gateway) == before + 1, "the end of the stream")
    become(False)
    tab.page.locator("#live.on").wait_for()
    assert tab.said == []


def test_a_script_of_airflow_gets_neither_the_page_nor_its_events(tab, gateway):
    """It is in the same origin."""
    tab.page.goto(gateway.url + "/")
    assert tab.page.title() and "/-/" not in tab.page.url
    for path in ("/-/", "/-/events", "/-/events?ticket=x"):
        assert tab.page.evaluate("path => fetch(path).then(reply => reply.status)", path) == 403


def test_without_scripts_the_page_has_the_same_content(browser, gateway):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"http://localhost:{gateway.url.rsplit(':', 1)[1]}/-/")
    assert page.get_by_role("link", name="refresh").is_visible()
    assert page.locator(".chart svg").count() == 4
    assert not page.locator("button[data-copy]").first.is_visible()
    context.close()
