"""The Amazon provider's hook, operator and sensors for MWAA, in an Airflow 3 on this machine, reach
real Airflows on both of their ways: InvokeRestApi, and a session of their own."""

import json
import subprocess

import pytest
from programs import HERE, LAB, environment


def provider(home, variables, *argv):
    """Runs a program in airflow332's Python with the provider. Returns what it printed."""
    env = environment(home, PYTHONPATH=LAB / "amazon", AIRFLOW_HOME=home, **variables)
    done = subprocess.run(
        [LAB / "airflow332/bin/python", *argv], env=env, cwd=home,
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["airflow2", "airflow332"])
def test_hook_operator_and_sensors(fleet, secure, tmp_path, name):
    airflow = fleet.ready(name)
    printed = provider(tmp_path, secure.variables(), HERE / "clients/hook.py", name, str(airflow.major))
    found = json.loads(printed.splitlines()[-1])
    for path in ("call", "local token"):
        assert found[path]["status"] == 200
        assert found[path]["dags"] == ["lab_hello", "lab_params"]
        state = airflow.query("select state from dag_run where run_id = ?", found[path]["run"])
        assert state == ["success"]
    assert found["error"] == "ResourceNotFoundException"
