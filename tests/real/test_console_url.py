"""The URL of the MWAA console with a local web token, opened in a real browser on an address that all
environments share."""

import boto3
import pytest
from airflows import VERSIONS
from botocore import UNSIGNED
from botocore.config import Config
from browser import Tab
from flows import Three, Two
from playwright.sync_api import expect


@pytest.mark.parametrize("name", VERSIONS)
def test_it_opens_the_environment_of_its_token(fleet, browser, name):
    airflow = fleet.ready(name)
    mwaa = boto3.client(
        "mwaa", endpoint_url=fleet.gateway.url, region_name="eu-west-1",
        config=Config(inject_host_prefix=False, signature_version=UNSIGNED),
    )
    token = mwaa.create_web_login_token(Name=name)
    origin = f"http://{token['WebServerHostname']}"
    # this machine does not resolve NAME.localhost, so the token alone names the environment
    assert origin == fleet.gateway.url

    tab = Tab(browser, f"console-{name}")
    flow = Two if airflow.major == 2 else Three
    ui = flow(tab, f"{origin}/aws_mwaa/aws-console-sso?login=true#{token['WebToken']}")
    ui.open()
    ui.list_dags()
    ui.open_grid()
    tab.shot("grid")
    tab.write_traffic()
    assert tab.origins() == {origin}
    assert token["WebToken"] not in tab.page.url
    assert tab.failures() == []
    tab.close()


def test_a_token_that_is_not_valid_is_refused_in_words(fleet, browser):
    tab = Tab(browser, "console-refused")
    for fragment in ("", "#canary"):
        tab.page.goto(f"{fleet.gateway.url}/aws_mwaa/aws-console-sso?login=true{fragment}")
        expect(tab.page.get_by_text("The token is not valid here")).to_be_visible()
        assert "canary" not in tab.page.url
        # the next address differs by its fragment alone, which would load nothing
        tab.page.goto("about:blank")
    tab.close()
