"""`mwaa-gateway airflow -- … import FILE` against the import of the real Airflow itself: the same
file leaves the same rows in the database."""

import contextlib
import json
import sqlite3
import subprocess

import pytest
from outcomes.record import VERSIONS
from programs import BINARY, environment

VARIABLES = {
    "text": "plain",
    "quotes": "it's \"quoted\" \\ $HOME `x` é 😀",
    "lines": "one\ntwo\n",
    "-dash": "-v",
    "empty": "",
    "number": 5,
    "float": 1e-07,
    "nothing": None,
    "truth": True,
    "list": [1, 1.5, "ü", {}],
    "object": {"b": [True, None], "a": {"c": "d"}},
    "described": {"value": "x", "description": "-what it is"},
    "described object": {"value": {"a": 1}, "description": "d"},
    "empty value": {"value": "", "description": "d"},
    "no value": {"description": "d"},
}

CONNECTIONS = {
    "by_uri": "postgres://user:p%40ss@host:5432/db?sslmode=require",
    "no_host": "aws://?region_name=eu-west-1",
    "by_parts": {
        "conn_type": "http", "host": "h", "login": "l", "password": "p'w\"",
        "schema": "s", "port": 80, "extra": {"a": [1, "ü"]}, "description": "text",
    },
    "by_dejson": {"conn_type": "x", "extra_dejson": {"a": 1}},
}

POOLS = {
    "plain": {"slots": 3, "description": "what it is for"},
    "-dash": {"slots": 0, "description": "-d 'q' \"é\""},
    "deferred": {"slots": -1, "description": "", "include_deferred": True},
}

CONTENTS = {"variables": VARIABLES, "connections": CONNECTIONS, "pools": POOLS}

ROWS = {
    "variables": "select key, val, description from variable order by key",
    "connections": "select conn_id, conn_type, description, host, schema, login, password, port,"
                   " extra from connection order by conn_id",
    "pools": "select pool, slots, description, include_deferred from slot_pool"
             " where pool != 'default_pool' order by pool",
}


def rows(airflow, kind):
    with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30)) as database:
        return database.execute(ROWS[kind]).fetchall()


def ours(airflows, name, folder, *words):
    """The import of the program under test, through the running gateway."""
    gateway = airflows.gateways["ok"]
    env = environment(
        folder, XDG_STATE_HOME=folder, MWAA_GATEWAY_LISTEN=gateway.url.split("//")[1],
        MWAA_GATEWAY_MANAGEMENT=gateway.management.split("//")[1],
    )
    argv = [BINARY, "airflow", "-e", name, "--", *words]
    return subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("kind", ROWS)
def test_the_database_equals_that_of_airflow_s_own_import(airflows, name, kind, tmp_path):
    airflow = airflows.warm[name]
    content = CONTENTS[kind]
    file = tmp_path / f"{kind}.json"
    file.write_text(json.dumps(content))
    airflow.restore()
    real = airflow.run(f"{kind} import {file}")
    assert real["code"] == 0, real
    wanted = rows(airflow, kind)
    assert len(wanted) == len(content), real
    airflow.restore()
    assert rows(airflow, kind) == []
    done = ours(airflows, name, tmp_path, kind, "import", str(file))
    assert done.returncode == 0, done
    assert done.stdout == f"{len(content)} of {len(content)} {kind} imported\n"
    assert rows(airflow, kind) == wanted
    # existing entries are kept or not, according to Airflow's own options; pools are set again
    option = ["-a", "skip"] if kind == "variables" else []
    again = ours(airflows, name, tmp_path, kind, "import", str(file), *option)
    count = len(content) if kind == "pools" else 0
    assert (again.returncode, again.stdout) == (0, f"{count} of {len(content)} {kind} imported\n")
    assert rows(airflow, kind) == wanted
