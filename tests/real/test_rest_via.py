"""REST requests that AWS sends (InvokeRestApi): real Airflows behind a web server that cannot be reached."""

from copy import deepcopy

import pytest
import requests
from airflows import VERSIONS
from programs import Gateway

CLOSED = "127.0.0.1:1"


@pytest.fixture(scope="module", params=["invoke", "auto"])
def gateway(fleet, request, tmp_path_factory):
    config = deepcopy(fleet.emulator.config)
    for name, version in VERSIONS.items():
        more = {"connect_to": CLOSED, "rest_via": request.param, "airflow_version": version}
        config["environments"][name] |= more
    folder = tmp_path_factory.mktemp("via")
    with Gateway(folder, config, **fleet.emulator.credentials()) as gateway:
        gateway.rest_via = request.param
        yield gateway


def base(gateway, name):
    host = f"{name}.localhost"
    api = "/api/v1" if VERSIONS[name].startswith("2") else "/api/v2"
    port = gateway.url.rpartition(":")[2]
    return f"http://127.0.0.1:{port}{api}", {"Host": f"{host}:{port}"}


@pytest.mark.parametrize("name", VERSIONS)
def test_a_client_of_the_rest_api_notices_nothing(fleet, gateway, name):
    fleet.ready(name)
    url, host = base(gateway, name)
    session = requests.Session()
    session.headers.update(host)

    version = session.get(f"{url}/version", timeout=60)
    assert (version.status_code, version.headers["Content-Type"]) == (200, "application/json"), version.text
    assert version.json()["version"] == VERSIONS[name]
    dags = session.get(f"{url}/dags", params={"limit": 1, "order_by": "dag_id"}, timeout=60).json()["dags"]
    assert len(dags) == 1
    tagged = session.get(f"{url}/dags", params={"tags": ["nosuch", "neither"]}, timeout=60)
    assert (tagged.status_code, tagged.json()["dags"]) == (200, [])

    key = f"via-{gateway.url.rpartition(':')[2]}"
    made = session.post(f"{url}/variables", json={"key": key, "value": "1.0 é\n"}, timeout=60)
    assert made.status_code in {200, 201}, made.text
    read = session.get(f"{url}/variables/{key}", timeout=60).json()
    assert (read["key"], read["value"]) == (key, "1.0 é\n")
    # members that are null are missing: InvokeRestApi drops them
    assert None not in read.values()
    deleted = session.delete(f"{url}/variables/{key}", timeout=60)
    assert (deleted.status_code, deleted.content) == (204, b"")

    missing = session.get(f"{url}/variables/{key}", timeout=60)
    assert missing.status_code == 404 and "Mwaa-Gateway-Fault" not in missing.headers, missing.text
    assert missing.json()["detail"]
    invalid = session.patch(f"{url}/dags/lab_hello", json={"is_paused": "perhaps"}, timeout=60)
    assert invalid.status_code in {400, 422}, invalid.text
    assert "Mwaa-Gateway-Fault" not in invalid.headers


@pytest.mark.parametrize("name", VERSIONS)
def test_limits_are_named(fleet, gateway, name):
    """With "auto" the web server would take such requests, so its outage is the fault."""
    fleet.ready(name)
    url, host = base(gateway, name)
    fault = (502, "upstream.unreachable") if gateway.rest_via == "auto" else (501, "request.invoke_limit")
    long = requests.get(f"{url}/dags/{'x' * 60}", headers=host, timeout=60)
    assert (long.status_code, long.json()["code"]) == fault, long.text
    assert "66 characters, AWS allows 64" in long.json()["detail"] + long.json()["hint"], long.text
    text = requests.get(f"{url}/version", headers={**host, "Accept": "text/plain"}, timeout=60)
    assert (text.status_code, text.json()["code"]) == fault, text.text
    page = requests.get(f"{gateway.url}/home", headers=host, timeout=60)
    assert page.headers["Mwaa-Gateway-Fault"] == "upstream.unreachable"


@pytest.mark.parametrize("name", VERSIONS)
def test_an_sdk_gets_aws_s_own_form(fleet, gateway, name):
    fleet.ready(name)
    call = {"Name": name, "Method": "GET", "Path": "/dags/nosuch"}
    raised = {}
    for where, mwaa in [("aws", fleet.aws()), ("gateway", fleet.aws(endpoint=gateway.url))]:
        with pytest.raises(mwaa.exceptions.RestApiClientException) as caught:
            mwaa.invoke_rest_api(**call)
        response = caught.value.response
        raised[where] = (response["RestApiStatusCode"], response["RestApiResponse"])
    assert raised["aws"] == raised["gateway"]
