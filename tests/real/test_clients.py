"""Airflow's own clients, requests, curl, and the HTTP clients of Java and Node reach real Airflows
through the gateway with a base URL and no credentials."""

import json
import subprocess

import pytest
import requests
from airflows import VERSIONS
from programs import HERE, LAB, curl, environment

DAGS = ["lab_hello", "lab_params"]
THREES = [name for name in VERSIONS if name != "airflow2"]

# An id with all that paths can stumble over; Airflow makes such ids itself, but for the slash.
RUN = "manual__2026-01-02T03:04:05+00:00"


def run(fleet, argv, **more):
    env = environment(fleet.folder, **more)
    done = subprocess.run(
        [str(word) for word in argv], env=env, capture_output=True, encoding="utf-8", timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("name", VERSIONS)
def test_the_airflow_client(fleet, name):
    airflow = fleet.ready(name)
    client = f"client{airflow.major}"
    script = HERE / "clients" / f"airflow{airflow.major}.py"
    told = json.loads(run(fleet, [LAB / client / "bin/python", script, fleet.own_url(name), RUN]))
    assert told == {
        "version": airflow.version,
        "dags": DAGS,
        "run": [RUN, RUN, {"lines": 1}],
        "variable": "ž /+%2F",
    }
    found = airflow.query("select run_id from dag_run where dag_id = 'lab_params'")
    assert RUN in found


@pytest.mark.parametrize("name", THREES)
def test_airflowctl(fleet, name, tmp_path):
    fleet.ready(name)
    program = LAB / "airflowctl/bin/airflowctl"
    # it insists on a token; the gateway puts the environment's in its place
    more = {"AIRFLOW_CLI_TOKEN": "any", "HOME": tmp_path, "AIRFLOW_HOME": tmp_path}
    login = ["auth", "login", "--api-url", fleet.own_url(name), "--skip-keyring"]
    run(fleet, [program, *login], **more)
    listed = run(fleet, [program, "dags", "list", "-o", "json"], **more)
    dags = json.loads(listed[listed.index("[") :])
    assert sorted(dag["dag_id"] for dag in dags) == DAGS


@pytest.mark.parametrize("name", VERSIONS)
def test_requests(fleet, name):
    airflow = fleet.ready(name)
    api = fleet.own_url(name) + f"/api/v{airflow.major - 1}"
    with requests.Session() as session:
        session.trust_env = False
        # what a script may still send from the days before the gateway
        session.headers["Authorization"] = "Bearer of.bad.news"
        session.cookies.set("session", "stale")
        session.cookies.set("_token", "stale")
        for _ in range(3):
            reply = session.get(f"{api}/dags", params={"order_by": "dag_id"})
            assert reply.status_code == 200, reply.text
            assert [dag["dag_id"] for dag in reply.json()["dags"]] == DAGS
            assert not reply.cookies
        pool = {"name": "p", "slots": 3, "include_deferred": False}
        assert session.post(f"{api}/pools", json=pool).status_code in (200, 201)
        # 3.0 calls the name otherwise when it changes
        named = {"pool" if airflow.version == "3.0.6" else "name": "p"}
        change = named | {"slots": 5, "include_deferred": False}
        changed = session.patch(f"{api}/pools/p", params={"update_mask": "slots"}, json=change)
        assert changed.status_code == 200 and changed.json()["slots"] == 5, changed.text
        assert session.delete(f"{api}/pools/p").status_code == 204
        assert session.get(f"{api}/pools/p").status_code == 404


@pytest.mark.parametrize("name", VERSIONS)
def test_curl(fleet, name):
    airflow = fleet.ready(name)
    reply = curl(f"{fleet.url(name)}/api/v{airflow.major - 1}/version")
    assert (reply.status, reply.json()["version"]) == (200, airflow.version)
    assert "set-cookie" not in reply.headers


# What these clients send by themselves, which has made gateways refuse them.
HABITS = {
    "java": (["java", HERE / "clients/Airflow.java"], b"upgrade: h2c"),
    "node": (["node", HERE / "clients/fetch.mjs"], b"sec-fetch-mode: cors"),
}


@pytest.mark.parametrize("client", HABITS)
@pytest.mark.parametrize("name", VERSIONS)
def test_the_http_clients_of_languages(fleet, name, client):
    """Each reads, runs a command, makes something and removes it."""
    airflow = fleet.ready(name)
    argv, habit = HABITS[client]
    relay = fleet.relays[name]
    relay.heard = b""
    told = run(fleet, [*argv, relay.url, f"/api/v{airflow.major - 1}"]).splitlines()
    heard = relay.heard.lower()
    assert heard.count(habit) == heard.count(b" http/1.1\r\n") == len(told) == 4, heard
    read, command, made, removed = [line.split(" ", 1) for line in told]
    assert read[0] == "200" and json.loads(read[1])["version"] == airflow.version, read
    assert command == ["200", airflow.version]
    assert made[0] in ("200", "201") and json.loads(made[1])["name"] == client, made
    assert removed[0] == "204", removed


@pytest.mark.parametrize("name", VERSIONS)
def test_curl_that_offers_http2(fleet, name):
    airflow = fleet.ready(name)
    relay = fleet.relays[name]
    relay.heard = b""
    reply = curl(f"{relay.url}/api/v{airflow.major - 1}/version", options=["--http2"])
    assert reply.status == 200 and reply.json()["version"] == airflow.version, reply
    assert b"upgrade: h2c" in relay.heard.lower()


@pytest.mark.parametrize("name", VERSIONS)
def test_the_command_line(fleet, name):
    airflow = fleet.ready(name)
    url = f"{fleet.own_url(name)}/aws_mwaa/cli"
    reply = curl(url, ["Content-Type: text/plain", "Accept: text/plain"], "version")
    assert (reply.status, reply.text().strip()) == (200, airflow.version)


def test_a_waiting_response_is_streamed_line_by_line(fleet):
    """Airflow 3 reports the state of a run once a second; this run never starts."""
    fleet.ready("airflow332")
    dag = fleet.own_url("airflow332") + "/api/v2/dags/lab_params"
    with requests.Session() as session:
        session.trust_env = False
        assert session.patch(dag, json={"is_paused": True}).status_code == 200
        wanted = {"dag_run_id": "wait+for:it", "logical_date": None}
        assert session.post(f"{dag}/dagRuns", json=wanted).status_code == 200
        wait = f"{dag}/dagRuns/wait%2Bfor%3Ait/wait"
        with session.get(wait, params={"interval": 1}, stream=True, timeout=60) as reply:
            lines = reply.iter_lines(chunk_size=1)
            first = json.loads(next(lines))
            assert json.loads(next(lines)) == first == {"state": "queued"}
