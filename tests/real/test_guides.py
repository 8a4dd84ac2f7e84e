"""The pages of the guide about clients: their blocks run as they are printed, addresses apart."""

import json
import re
import shutil
import subprocess
import tomllib

import pytest
import requests
import yaml
from endpoint import real_tokens
from pages import Page
from programs import HERE, LAB, Gateway, environment, toml


@pytest.mark.parametrize("name", ["boto3.md", "aws-cli.md"])
def test_scripts_of_aws(plain, shell, name):
    assert Page(name, {"127.0.0.1:8080": plain.host}).run(shell)


def test_the_script_for_node(plain, shell):
    (script,) = Page("aws-sdk.md").blocks("js")
    (shell.folder / "mwaa.mjs").write_text(script)
    (shell.folder / "node_modules").symlink_to(LAB / "javascript/node_modules")
    assert shell.succeed("node mwaa.mjs", **plain.variables()) == f"{plain.host}\n"


# Runs the DAG of a file here and now.
RUN = """
if __name__ == "__main__":
    print("run:", dag.test().state)
"""


def test_the_hook(fleet, secure, shell):
    """Runs in an Airflow 3.3.2 with a home of its own, and reaches another one."""
    fleet.ready("airflow332")
    page = Page("mwaa-hook.md", {"http://127.0.0.1:8080": secure.url, '"prod"': '"airflow332"'})
    home, dags = shell.folder / "airflow", shell.folder / "dags"
    shutil.copytree(LAB / "airflow332-home", home)
    dags.mkdir()
    connection, dag, hook = [text for _, text, _ in page.steps()]
    (dags / "trigger_remote.py").write_text(dag + RUN)
    (shell.folder / "hook.py").write_text(hook)
    python = LAB / "airflow332/bin/python"
    printed = shell.succeed(
        f"{connection}\n{python} dags/trigger_remote.py\n{python} hook.py",
        PYTHONPATH=LAB / "amazon", AIRFLOW_HOME=home, AIRFLOW__CORE__DAGS_FOLDER=dags,
        AIRFLOW__CORE__LOAD_EXAMPLES="False", REQUESTS_CA_BUNDLE=secure.authority,
    )
    for line in ["run: success", "2 DAGs", "200"]:
        assert line in printed.splitlines(), printed


def configure(fleet, shell, config):
    """Writes a page's configuration, with airflow332 in the place of its environment `prod`."""
    fleet.ready("airflow332")
    emulated = fleet.emulator.config
    prod = {**emulated["environments"]["airflow332"], **config["environments"]["prod"], "name": "airflow332"}
    (shell.folder / "mwaa-gateway.toml").write_text(toml({"aws": emulated["aws"], "environments": {"prod": prod}}))


def test_github_actions(fleet, shell):
    """The steps that are commands run in front of a real Airflow, all but the installation."""
    page = Page("github-actions.md")
    configure(fleet, shell, tomllib.loads(*page.blocks("toml")))
    (script,) = page.blocks("python")
    (shell.folder / re.match(r"# script: (\S+)\n", script)[1]).write_text(script)

    (workflow,) = map(yaml.safe_load, page.blocks("yaml"))
    assert workflow["permissions"]["id-token"] == "write"
    steps = workflow["jobs"]["dags"]["steps"]
    assert "aws-actions/configure-aws-credentials@v4" in [step.get("uses") for step in steps]
    commands = [step["run"] for step in steps if "run" in step and not step["name"].startswith("Install")]
    assert len(commands) == 2
    printed = shell.succeed("\n".join(commands), **fleet.emulator.credentials())
    assert "2 passed" in printed


# Where the servers are installed, an option for a test, and the call that lists DAGs. One more
# needs Python 3.12.
SERVERS = {
    "astro-airflow-mcp": ("mcp1", [], "list_dags={}"),
    "airflow-dev-mcp": ("mcp2", [], "list_dags={}"),
    "mcp-server-apache-airflow": ("mcp2", [], "fetch_dags={}"),
    "apache-airflow-mcp-server": ("mcp1", [], 'airflow_list_dags={"instance": "default"}'),
    "airflow-mcp-server": ("mcp1", ["--static-tools"], "get_dags={}"),
}


def test_the_mcp_servers(fleet, tmp_path):
    """Each server of the page lists the DAGs of Airflow 3.3.2 at the page's read-only listener."""
    fleet.ready("airflow332")
    config = tomllib.loads(*Page("agents.md").blocks("toml"))
    assert config["listeners"]["agents"]["policy"] == "read-only"
    config["listeners"]["agents"]["address"] = "127.0.0.1:0"
    emulated = fleet.emulator.config
    config |= {"aws": emulated["aws"], "environments": {"prod": emulated["environments"]["airflow332"]}}
    with Gateway(tmp_path, config, **fleet.emulator.credentials()) as gateway:
        agents = gateway.line(r"^listening on http://(\S+) \(policy read-only\)$")[1]
        page = Page("agents.md", {"127.0.0.1:8081": agents})
        (written,) = map(json.loads, page.blocks("json"))
        first = written["mcpServers"]["airflow"]
        servers = [(first["args"], first["env"])]
        for args, env in re.findall(r"^\| `(\[.*?\])` \| (.*?) \|", page.text, re.M):
            servers.append((json.loads(args), dict(re.findall(r"`(\w+)=(\S+?)`", env))))
        names = [args[-1] for args, _ in servers]
        assert set(names) - set(SERVERS) == {"mcp-airflow-api"}
        for args, env in servers:
            if args[-1] in SERVERS:
                lists_dags(tmp_path, args[-1], env)


def lists_dags(home, program, env):
    """Runs an MCP server as an agent does, without uvx. Fails if it does not list the DAGs."""
    lab, options, call = SERVERS[program]
    client = [LAB / "mcp1/bin/python", HERE / "clients/mcp_stdio.py", call, "--"]
    done = subprocess.run(
        [*client, LAB / lab / "bin" / program, *options], cwd=home, capture_output=True, encoding="utf-8", timeout=120,
        check=False, env=environment(home, FASTMCP_CHECK_FOR_UPDATES="off", AF_TELEMETRY_DISABLED="1", **env),
    )
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)[call.split("=")[0]]
    assert {"lab_hello", "lab_params"} <= set(re.findall(r"lab_\w+", listed)), f"{program}: {listed}"
    assert real_tokens(done.stdout.encode()) == []


def test_terraform_in_ci(fleet, shell):
    """The URL is in the variable that Terraform reads; a stub is in the place of Terraform."""
    configure(fleet, shell, {"environments": {"prod": {}}})
    (shell.programs / "terraform").write_text('#!/bin/sh\ncurl -sS "$TF_VAR_airflow/api/v2/version"\n')
    (shell.programs / "terraform").chmod(0o755)
    (command,) = Page("terraform.md").blocks("bash")
    assert json.loads(shell.succeed(command, **fleet.emulator.credentials()))["version"] == "3.3.2"


# The paths and fields that the provider sends in addition to the attributes of a resource.
PATHS = {"airflow_variable": ("variables", "key"), "airflow_pool": ("pools", "name"),
         "airflow_connection": ("connections", "connection_id")}
ALWAYS = {"airflow_pool": {"include_deferred": False}}


@pytest.mark.parametrize(("scheme", "name"), [("plain", "airflow2"), ("secure", "airflow332")])
def test_terraform(request, fleet, scheme, name):
    """Sends what the provider's source says that it sends: create and read, plan, change, destroy."""
    major = fleet.ready(name).major
    endpoint = request.getfixturevalue(scheme)
    page = Page("terraform.md", {"http://127.0.0.1:8080": endpoint.url})
    parse = "import hcl2, json, sys; print(json.dumps(hcl2.loads(sys.stdin.read())))"
    done = subprocess.run([LAB / "hcl/bin/python", "-c", parse], input="".join(page.blocks("terraform")),
                          capture_output=True, encoding="utf-8", check=True)
    parsed = json.loads(done.stdout.replace('\\"', ""))
    (provider,) = parsed["provider"]
    assert provider["airflow"]["base_path"] == "/api/v2"
    base = provider["airflow"]["base_endpoint"] + f"/api/v{major - 1}"
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(endpoint.authority)
        session.headers.update({"User-Agent": "OpenAPI-Generator/1.0.0/go", "Accept": "application/json"})
        resources = [item for resource in parsed["resource"] for item in resource.items()]
        assert [kind for kind, _ in resources] == list(PATHS)
        for kind, named in resources:
            (attributes,) = named.values()
            body = ALWAYS.get(kind, {}) | {key: value for key, value in attributes.items() if "__" not in key}
            path, key = PATHS[kind]
            url = f"{base}/{path}/{body[key]}"
            for method, target, status in [("POST", f"{base}/{path}", {200, 201}), ("GET", url, {200}),
                                           ("PATCH", url, {200}), ("DELETE", url, {204}), ("GET", url, {404})]:
                sent = body | {"description": "changed"} if method == "PATCH" else body
                reply = session.request(method, target, json=sent if method in ("POST", "PATCH") else None, timeout=30)
                assert reply.status_code in status, (method, target, reply.text)
                if method == "GET" and reply.status_code == 200:
                    assert body.items() <= reply.json().items()
