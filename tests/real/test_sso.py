"""A browser opens the URL that AWS documents for a web token, and ends at the UI of the token's
environment."""

import boto3
import pytest
from airflows import VERSIONS
from botocore.config import Config
from browser import Tab, secrets_in
from endpoint import real_tokens
from flows import Three, Two
from playwright.sync_api import expect


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", VERSIONS)
def test_the_url_of_a_web_token_opens_the_ui(fleet, endpoints, browser, scheme, name):
    """airflow2 is the default environment without TLS, airflow332 with it."""
    airflow = fleet.ready(name)
    endpoint = endpoints[scheme]
    mwaa = boto3.client(
        "mwaa", endpoint_url=endpoint.gateway.url, region_name="eu-west-1", verify=str(endpoint.authority),
        aws_access_key_id="any", aws_secret_access_key="any", config=Config(inject_host_prefix=False),
    )
    token = mwaa.create_web_login_token(Name=name)

    tab = Tab(browser, f"{name}-sso-{scheme}")
    host = token["WebServerHostname"]
    tab.page.goto(f"{scheme}://{host}/aws_mwaa/aws-console-sso?login=true#{token['WebToken']}")
    tab.page.wait_for_url(lambda url: "aws-console-sso" not in url)
    tab.page.wait_for_load_state()
    tab.shot("first")

    # the UI's own origin has the version of this environment, and its pages
    ask = f"async () => (await (await fetch('/api/v{airflow.major - 1}/version')).json()).version"
    assert tab.page.evaluate(ask) == airflow.version, tab.page.url
    (Two if airflow.major == 2 else Three)(tab, tab.page.url).list_dags()
    assert tab.failures() == []

    # no secret of Airflow's has reached the browser, and no script can read a token
    assert real_tokens(str([reply.headers for reply in tab.replies]).encode()) == []
    assert secrets_in(str(tab.script_sees())) == []
    tab.close()


def test_a_token_that_is_not_valid_is_refused_in_words(fleet, browser):
    tab = Tab(browser, "sso-refused")
    for fragment in ("", "#canary"):
        tab.page.goto(f"{fleet.gateway.url}/aws_mwaa/aws-console-sso?login=true{fragment}")
        expect(tab.page.get_by_text("The token is not valid here")).to_be_visible()
        assert "canary" not in tab.page.url
        # the next address differs by its fragment alone, which would load nothing
        tab.page.goto("about:blank")
    tab.close()
