"""For people who should end on the real host: the gateway hands the browser over, signed in."""

import pytest
from airflows import VERSIONS
from browser import Tab
from flows import Three, Two


@pytest.mark.parametrize("name", VERSIONS)
def test_the_browser_ends_signed_in_on_the_real_host(fleet, browser, name):
    airflow = fleet.ready(name)
    tab = Tab(browser, f"{name}-handover")
    flow = Two if airflow.major == 2 else Three
    flow(tab, f"{fleet.url(name)}/aws_mwaa/aws-console-sso?handover=1").open()
    there = f"https://{fleet.hosts[name]}"
    assert tab.page.url in (f"{there}/", f"{there}/home")
    assert tab.origins() == {fleet.url(name), there}
    flow(tab, there).list_dags()
    # the token was in the fragment of an address that is gone
    assert not [request.url for request in tab.requests if "eyJ" in request.url.split("#")[0]]
    tab.shot("end")
    tab.close()
