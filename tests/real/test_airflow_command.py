"""`mwaa-gateway airflow` and real Airflows: through a gateway that runs and without one."""

import json
import sqlite3
import subprocess

import pytest
from outcomes.record import VERSIONS, Warm
from programs import BINARY, PATIENCE, Emulator, Gateway, environment, toml

# No web server or scheduler is needed.
NAMES = ["airflow2", "airflow332"]


class Lab:
    """Two Airflows behind one emulator, a gateway, and the program under test."""

    def __init__(self, folder):
        self.folder = folder
        self.airflows = {name: Warm(name, folder) for name in NAMES}
        options = []
        for name, airflow in self.airflows.items():
            options += ["--airflow-version", f"{name}={VERSIONS[name]}"]
            options += ["--airflow-bin", f"{name}={airflow.command()}"]
        self.emulator = Emulator(folder, *options)
        environments = {name: self.emulator.config["environments"][name] for name in NAMES}
        for name, table in environments.items():
            table["airflow_version"] = VERSIONS[name]
            table.pop("default", None)
        self.config = {**self.emulator.config, "environments": environments}
        self.gateway = Gateway(folder, self.config, **self.emulator.credentials())
        for airflow in self.airflows.values():
            airflow.wait()

    def run(self, *words, alone=False, **more):
        """Runs the program to its end, as a person would."""
        home = self.folder / ("alone" if alone else "through")
        home.mkdir(exist_ok=True)
        if alone:
            # no gateway listens there, so the program has to run the command itself
            nowhere = {"listener": {"address": f"unix:{home}/nobody.sock"}}
            (home / "mwaa-gateway.toml").write_text(toml({**self.config, **nowhere}))
            more |= self.emulator.credentials()
        else:
            # this one knows neither AWS nor the environments
            more["MWAA_GATEWAY_LISTEN"] = self.gateway.url.removeprefix("http://")
            more["MWAA_GATEWAY_MANAGEMENT"] = self.gateway.management.removeprefix("http://")
        return subprocess.run(
            [BINARY, "airflow", *words],
            env=environment(home, **more), cwd=home, stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", timeout=4 * PATIENCE, check=False,
        )

    def has_run(self, name, run_id):
        with sqlite3.connect(self.airflows[name].home / "airflow.db", timeout=30) as database:
            question = "select count(*) from dag_run where run_id = ?"
            return database.execute(question, [run_id]).fetchone() == (1,)

    def stop(self):
        for program in (self.gateway, self.emulator, *self.airflows.values()):
            program.stop()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("airflow-command"))
    yield lab
    lab.stop()


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_json_for_pipes(lab, name):
    done = lab.run("-e", name, "--", "dags", "list", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert "lab_hello" in {dag["dag_id"] for dag in json.loads(done.stdout)}
    # piped output is the same byte for byte, with and without a gateway
    assert lab.run("-e", name, "dags", "list", "-o", "json", alone=True).stdout == done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_command_exits_with_1(lab, name):
    for words in (
        ["dags", "trigger", "nosuch"],
        ["variables", "get", "nosuch"],
        ["dags", "list-runs", "--nosuch"],
    ):
        done = lab.run("-e", name, "--", *words)
        assert done.returncode == 1, (words, done)
        assert done.stderr, words
    done = lab.run("-e", name, "--", "users", "list")
    assert (done.returncode, done.stdout) == (1, "")
    assert "policy.unsupported_command" in done.stderr


@pytest.mark.parametrize("alone", [False, True], ids=["through", "alone"])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_triggered_with_exactly_these_words(lab, name, alone):
    conf = {"a": "b  c", "quotes": "it's \"x\" \\ $HOME `y`", "é": "😀"}
    run_id = f"mine-{'alone' if alone else 'through'}"
    words = ["dags", "trigger", "lab_hello", "--run-id", run_id, "--conf", json.dumps(conf)]
    # Airflow 2 refuses a second run of a DAG in the same second without it
    words += ["--no-replace-microseconds"]
    done = lab.run("-e", name, "--", *words, "-o", "json", alone=alone)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert lab.has_run(name, run_id)
    again = lab.run("-e", name, "--", *words, alone=alone)
    assert again.returncode == 1, again


@pytest.mark.parametrize("name", NAMES)
def test_help_is_airflow_s_own(lab, name):
    done = lab.run("-e", name, "--", "dags", "trigger", "--help")
    assert done.returncode == 0, done.stderr
    assert "--run-id" in done.stdout
