"""The MWAA API on the gateway: programs that use boto3 or the AWS CLI, with no AWS credentials of
their own, reach real Airflows."""

import base64
import json
import subprocess

import boto3
import pytest
import requests
from airflows import VERSIONS
from botocore import UNSIGNED
from botocore.config import Config
from programs import BINARY, HERE, LAB, environment, toml

# the login path, the name of the cookie and the base path of the REST API
PLACES = {
    "2": ("/aws_mwaa/login", "session", "/api/v1"),
    "3": ("/pluginsv2/aws_mwaa/login", "_token", "/api/v2"),
}


@pytest.fixture(params=[{}, {"signature_version": UNSIGNED}], ids=["signed", "unsigned"])
def mwaa(fleet, request):
    config = Config(inject_host_prefix=False, retries={"total_max_attempts": 1}, **request.param)
    return boto3.session.Session().client(
        "mwaa", endpoint_url=fleet.gateway.url, region_name="eu-west-1", config=config,
        aws_access_key_id="any", aws_secret_access_key="any",
    )


def test_environments(mwaa):
    assert set(VERSIONS) <= set(mwaa.list_environments()["Environments"])
    for name, version in VERSIONS.items():
        found = mwaa.get_environment(Name=name)["Environment"]
        assert (found["Name"], found["AirflowVersion"]) == (name, version)


def test_environments_page_by_page(mwaa):
    everything = mwaa.list_environments()["Environments"]
    pages = list(mwaa.get_paginator("list_environments").paginate(PaginationConfig={"PageSize": 2}))
    assert [name for page in pages for name in page["Environments"]] == everything
    assert [len(page["Environments"]) for page in pages[:-1]] == [2] * (len(pages) - 1)
    assert len(pages) > 1 and "NextToken" not in pages[-1]


@pytest.mark.parametrize("name", VERSIONS)
def test_a_script_of_the_user_guide(mwaa, name):
    token = mwaa.create_cli_token(Name=name)
    reply = requests.post(
        f"http://{token['WebServerHostname']}/aws_mwaa/cli",
        headers={"Authorization": f"Bearer {token['CliToken']}", "Content-Type": "text/plain"},
        data="version", timeout=60,
    )
    assert reply.status_code == 200, reply.text
    assert base64.b64decode(reply.json()["stdout"]).decode().strip().endswith(VERSIONS[name])


@pytest.mark.parametrize("name", VERSIONS)
def test_a_session_of_the_rest_api(fleet, mwaa, name):
    fleet.ready(name)
    login, cookie, api = PLACES[VERSIONS[name][0]]
    token = mwaa.create_web_login_token(Name=name)
    base = f"http://{token['WebServerHostname']}"
    reply = requests.post(base + login, data={"token": token["WebToken"]}, timeout=30)
    assert reply.status_code == 200, reply.text
    value = reply.cookies[cookie]
    # Airflow 2 takes the cookie, Airflow 3 its value
    used = {"cookies": {cookie: value}} if cookie == "session" else {"headers": {"Authorization": f"Bearer {value}"}}
    reply = requests.get(f"{base}{api}/dags", timeout=30, **used)
    assert "lab_hello" in {dag["dag_id"] for dag in reply.json()["dags"]}
    version = requests.get(f"{base}{api}/version", timeout=30, **used).json()["version"]
    assert version == VERSIONS[name]


@pytest.mark.parametrize("name", VERSIONS)
def test_invoke_rest_api(fleet, mwaa, name):
    fleet.ready(name)
    call = {"Name": name, "Method": "GET"}
    reply = mwaa.invoke_rest_api(**call, Path="/dags", QueryParameters={"limit": 1})
    assert reply["RestApiStatusCode"] == 200
    assert len(reply["RestApiResponse"]["dags"]) == 1
    key = f"api-{mwaa.meta.config.signature_version is UNSIGNED}"
    body = {"key": key, "value": "1.0 é"}
    made = mwaa.invoke_rest_api(Name=name, Method="POST", Path="/variables", Body=body)
    assert made["RestApiResponse"]["value"] == "1.0 é"
    deleted = mwaa.invoke_rest_api(Name=name, Method="DELETE", Path=f"/variables/{key}")
    assert deleted["RestApiStatusCode"] == 204
    with pytest.raises(mwaa.exceptions.RestApiClientException) as raised:
        mwaa.invoke_rest_api(**call, Path="/dags/nosuch")
    assert raised.value.response["RestApiStatusCode"] == 404


def test_errors_are_typed_exceptions(mwaa):
    with pytest.raises(mwaa.exceptions.ResourceNotFoundException, match="route.unknown_environment"):
        mwaa.create_cli_token(Name="nosuch")
    with pytest.raises(mwaa.exceptions.ResourceNotFoundException):
        mwaa.create_web_login_token(Name="nosuch")
    with pytest.raises(mwaa.exceptions.ValidationException):
        mwaa.list_environments(MaxResults=26)
    # these operations have no such exception in the model, so it has no class
    with pytest.raises(mwaa.exceptions.ClientError, match="AccessDeniedException.*policy.aws_operation"):
        mwaa.delete_environment(Name="airflow2")


def test_a_read_only_client_gets_typed_exceptions(fleet):
    config = Config(inject_host_prefix=False, signature_version=UNSIGNED)
    url = f"http://127.0.0.1:{fleet.reading}"
    mwaa = boto3.client("mwaa", endpoint_url=url, region_name="eu-west-1", config=config)
    fleet.ready("airflow332")
    call = {"Name": "airflow332", "Path": "/variables"}
    with pytest.raises(mwaa.exceptions.AccessDeniedException, match="policy.read_only"):
        mwaa.invoke_rest_api(**call, Method="POST", Body={"key": "k", "value": "v"})
    with pytest.raises(mwaa.exceptions.AccessDeniedException, match="policy.read_only"):
        mwaa.invoke_rest_api(**call, Method="GET")
    assert mwaa.invoke_rest_api(Name="airflow332", Path="/dags", Method="GET")["RestApiStatusCode"] == 200


@pytest.mark.parametrize(("scheme", "name"), [("plain", "airflow2"), ("secure", "airflow332")])
def test_the_sdk_for_javascript(request, fleet, tmp_path, scheme, name):
    fleet.ready(name)
    login, cookie, _ = PLACES[VERSIONS[name][0]]
    # Node looks for packages beside the script
    (tmp_path / "node_modules").symlink_to(LAB / "javascript/node_modules")
    script = tmp_path / "mwaa.mjs"
    script.write_text((HERE / "clients/mwaa.mjs").read_text())
    env = environment(tmp_path, **request.getfixturevalue(scheme).variables())
    done = subprocess.run(
        ["node", script, name, login], env=env, capture_output=True, encoding="utf-8", timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    names, *lines = done.stdout.splitlines()
    assert set(VERSIONS) <= {page for (page,) in json.loads(names)}
    assert lines == [VERSIONS[name], VERSIONS[name], cookie, "true 404"]


def test_the_aws_cli(fleet, tmp_path):
    env = environment(
        tmp_path, AWS_ENDPOINT_URL_MWAA=fleet.gateway.url, AWS_DEFAULT_REGION="eu-west-1",
        AWS_DISABLE_HOST_PREFIX_INJECTION="true", AWS_ACCESS_KEY_ID="any", AWS_SECRET_ACCESS_KEY="any",
    )

    def aws(*words):
        argv = [LAB / "clients/bin/python", LAB / "clients/bin/aws", "mwaa", *words]
        done = subprocess.run(argv, env=env, capture_output=True, encoding="utf-8", timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    listed = aws("list-environments", "--page-size", "1")
    assert set(VERSIONS) <= set(listed["Environments"])
    query = ["--query", "Environments[?starts_with(@, 'airflow')] | length(@)"]
    assert aws("list-environments", *query) == len(VERSIONS)
    assert aws("create-cli-token", "--name", "airflow332", "--query", "WebServerHostname") in fleet.gateway.url
    fleet.ready("airflow332")
    call = ["--name", "airflow332", "--method", "GET", "--path", "/version"]
    assert aws("invoke-rest-api", *call)["RestApiResponse"]["version"] == "3.3.2"


def test_exec_runs_a_script_unchanged(fleet, tmp_path):
    config = {"aws": fleet.emulator.config["aws"], "environments": {
        "airflow332": {**fleet.emulator.config["environments"]["airflow332"], "airflow_version": "3.3.2"}}}
    (tmp_path / "g.toml").write_text(toml(config))
    fleet.ready("airflow332")
    script = """
import boto3, os, requests
mwaa = boto3.client("mwaa")
name, = mwaa.list_environments()["Environments"]
print(mwaa.invoke_rest_api(Name=name, Path="/version", Method="GET")["RestApiResponse"]["version"])
url = os.environ["AIRFLOW_API_URL"] + "/api/" + os.environ["AIRFLOW_API_VERSION"]
print(requests.get(url + "/version").json()["version"])
"""
    done = subprocess.run(
        [BINARY, "exec", "--config", tmp_path / "g.toml", "--", LAB / "clients/bin/python", "-c", script],
        env=environment(tmp_path, **fleet.emulator.credentials()),
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )
    assert (done.returncode, done.stdout) == (0, "3.3.2\n3.3.2\n"), done.stderr
