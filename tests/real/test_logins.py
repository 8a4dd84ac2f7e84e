"""Clients that log in with a user name and password before anything else, or send them with every
request, reach real Airflows through the gateway, which asks for neither."""

import json
import re
import subprocess

import pytest
from airflows import VERSIONS
from programs import HERE, LAB, environment, eventually

DAGS = ["lab_hello", "lab_params"]
PASSWORD = "correct-horse-canary"


def start(home, argv, **more):
    home.mkdir()
    return subprocess.Popen(
        [str(word) for word in argv], env=environment(home, **more), cwd=home,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8",
    )  # fmt: skip


def end(process):
    """What a process that ends well has written."""
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, f"{process.args}: {out}{err}"
    return out


def was_told_to_nobody(fleet, airflow):
    eventually(lambda: "/dags" in airflow.output(), "Airflow logs what it is asked")
    assert "auth/token" not in airflow.output() and PASSWORD not in airflow.output()
    assert PASSWORD not in fleet.gateway.output()


@pytest.mark.parametrize("name", [name for name in VERSIONS if name != "airflow2"])
def test_airflowctl(fleet, name, tmp_path):
    airflow = fleet.ready(name)
    program, home = LAB / "airflowctl/bin/airflowctl", tmp_path / "home"
    # without a desktop there is no keyring; in this mode it keeps the token in a file
    more = {"AIRFLOW_HOME": home, "AIRFLOW_CLI_DEBUG_MODE": "true"}
    login = ["auth", "login", "--api-url", fleet.own_url(name)]
    login += ["--username", "anybody", "--password", PASSWORD]
    end(start(home, [program, *login], **more))
    listing = [program, "dags", "list", "-o", "json"]
    listed = end(start(tmp_path / "again", listing, **more))
    dags = json.loads(listed[listed.index("[") :])
    assert sorted(dag["dag_id"] for dag in dags) == DAGS
    was_told_to_nobody(fleet, airflow)


@pytest.mark.parametrize("name", VERSIONS)
def test_astro_airflow_mcp(fleet, name, tmp_path):
    """An agent's server, with and without a password, at an address where everything passes and
    at one where nothing but reading does."""
    airflow = fleet.ready(name)
    bin = LAB / "mcp1/bin"
    calls = ["list_dags={}", 'get_dag_details={"dag_id": "lab_hello"}']
    running = {}
    for door, url in [("all", fleet.own_url(name)), ("reading", fleet.own_reading_url(name))]:
        for login in [{}, {"AIRFLOW_USERNAME": "anybody", "AIRFLOW_PASSWORD": PASSWORD}]:
            change = ['pause_dag={"dag_id": "lab_hello"}'] if door == "reading" else []
            server = [bin / "astro-airflow-mcp", "--transport", "stdio", "--airflow-url", url]
            client = [bin / "python", HERE / "clients/mcp_stdio.py", *calls, *change, "--"]
            running[door, bool(login)] = start(
                tmp_path / f"{door}-{len(login)}", [*client, *server],
                AF_TELEMETRY_DISABLED="1", FASTMCP_CHECK_FOR_UPDATES="off", **login,
            )  # fmt: skip
    for (door, login), process in running.items():
        what, told = f"{door}, password: {login}", json.loads(end(process))
        assert {"list_dags", "pause_dag", "trigger_dag"} <= set(told["tools"]), what
        dags = json.loads(told["list_dags"])["dags"]
        assert sorted(dag["dag_id"] for dag in dags) == DAGS, what
        assert json.loads(told["get_dag_details"])["dag_id"] == "lab_hello", what
        if door == "reading":
            assert "403" in told["pause_dag"], told
    paused = "select is_paused from dag where dag_id = 'lab_hello'"
    assert airflow.query(paused) == [0]
    was_told_to_nobody(fleet, airflow)


def servers(airflow, url):
    """The other MCP servers that support this Airflow: their programs, their variables, and the call
    that lists its DAGs."""
    api = f"v{airflow.major - 1}"
    names = ["HOST", "USERNAME", "PASSWORD"]
    login = [url, "anybody", PASSWORD]
    apart = dict(zip([f"AIRFLOW_{name}" for name in names], login, strict=True))
    found = [
        (["mcp2", "airflow-dev-mcp"], apart | {"AIRFLOW_URL": url}, "list_dags={}"),
        (["mcp2", "mcp-server-apache-airflow"], apart | {"AIRFLOW_API_VERSION": api}, "fetch_dags={}"),
    ]
    if airflow.major == 3:
        told = {"AIRFLOW_BASE_URL": url, "AUTH_TOKEN": PASSWORD}
        found.append((["mcp1", "airflow-mcp-server", "--static-tools"], told, "get_dags={}"))
    if airflow.version == "3.3.2":  # its models are those of 3.3 and reject responses of 3.0
        told = dict(zip([f"AIRFLOW_MCP_{name}" for name in names], login, strict=True))
        listing = 'airflow_list_dags={"instance": "default"}'
        found.append((["mcp1", "apache-airflow-mcp-server"], told, listing))
    return found


@pytest.mark.parametrize("name", VERSIONS)
def test_other_mcp_servers(fleet, name, tmp_path):
    """Agents' servers that send credentials of every kind, where nothing but reading passes."""
    airflow = fleet.ready(name)
    running = {}
    for (lab, program, *options), told, call in servers(airflow, fleet.own_reading_url(name)):
        client = [LAB / "mcp1/bin/python", HERE / "clients/mcp_stdio.py", call, "--"]
        server = [LAB / lab / "bin" / program, *options]
        told["FASTMCP_CHECK_FOR_UPDATES"] = "off"
        running[program, call] = start(tmp_path / program, [*client, *server], **told)
    for (program, call), process in running.items():
        listed = json.loads(end(process))[call.split("=")[0]]
        # one of them writes Python and not JSON
        dags = set(re.findall(r"""['"]dag_id['"]: ?['"](\w+)""", listed))
        assert sorted(dags) == DAGS, f"{program}: {listed}"
    was_told_to_nobody(fleet, airflow)
