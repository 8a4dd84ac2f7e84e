"""For people who should end on the real host: the gateway hands the browser over, signed in."""

from copy import deepcopy

import pytest
from airflows import VERSIONS
from browser import Tab
from flows import Three, Two
from programs import Gateway


@pytest.fixture(scope="module")
def redirecting(fleet, tmp_path_factory):
    """A gateway that hands browsers over."""
    config = deepcopy(fleet.emulator.config)
    for environment in config["environments"].values():
        environment["browser"] = "redirect"
    folder = tmp_path_factory.mktemp("redirecting")
    with Gateway(folder, config, **fleet.emulator.credentials()) as gateway:
        yield gateway


@pytest.mark.parametrize("name", VERSIONS)
def test_the_browser_ends_signed_in_on_the_real_host(fleet, redirecting, browser, name):
    airflow = fleet.ready(name)
    tab = Tab(browser, f"{name}-handover")
    flow = Two if airflow.major == 2 else Three
    here = f"http://{name}.localhost:{redirecting.url.rsplit(':', 1)[1]}"
    flow(tab, f"{here}/").open()
    there = f"https://{fleet.hosts[name]}"
    assert tab.page.url in (f"{there}/", f"{there}/home")
    assert tab.origins() == {here, there}
    flow(tab, there).list_dags()
    # the token was in the fragment of an address that is gone
    assert not [request.url for request in tab.requests if "eyJ" in request.url.split("#")[0]]
    tab.shot("end")
    tab.close()
