"""Real Airflow 2.10.5 behind the emulator: what curl gets through the gateway is what the same
`airflow` says when it is called directly."""

import base64
import json
import pickle
import re
import shlex
import shutil
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from programs import AIRFLOW, LAB, Emulator, Gateway, environment

VERSION = "2.10.5"


class Lab:
    """One Airflow database, reached directly and through the gateway."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "airflow"
        shutil.copytree(LAB / "airflow2-home", self.home)
        self.journal = folder / "journal"
        self.journal.mkdir()

    def airflow(self, *words, home=None):
        """Runs the same program without the gateway."""
        env = environment(self.folder, AIRFLOW_HOME=home or self.home)
        return subprocess.run(
            [AIRFLOW, *words], env=env, capture_output=True, timeout=120, check=False
        )

    def calls(self):
        """The arguments of every call that came through the gateway."""
        return [
            [word.decode() for word in file.read_bytes().split(b"\0")[:-1]]
            for file in self.journal.iterdir()
        ]

    def query(self, question, *values):
        with sqlite3.connect(self.home / "airflow.db", timeout=30) as database:
            return database.execute(question, values).fetchall()

    def runs(self, dag):
        """Run ids and their conf, from the database itself."""
        rows = self.query("select run_id, conf from dag_run where dag_id = ?", dag)
        return {run: pickle.loads(conf) for run, conf in rows}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("airflow2"))
    arguments = ["--airflow-version", VERSION, "--airflow-bin", AIRFLOW]
    places = {"AIRFLOW_HOME": lab.home, "AIRFLOW_JOURNAL": lab.journal}
    with Emulator(lab.folder, *arguments, **places) as emulator:
        config = emulator.config_for_one(airflow_version=VERSION, cli_concurrency=2)
        with Gateway(lab.folder, config, **emulator.credentials()) as lab.gateway:
            yield lab


def together(*calls):
    """Makes the calls at the same time: each one waits seconds for a Python to start."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def decoded(reply):
    """stdout and stderr of MWAA's JSON."""
    fields = reply.json()
    assert set(fields) == {"stdout", "stderr"}
    return tuple(base64.b64decode(fields[name], validate=True) for name in ("stdout", "stderr"))


def compare(lab, command, *words):
    """Sends a read-only command both ways and returns the direct result."""
    text, raw, direct = together(
        lambda: lab.gateway.cli(command, accept="text/plain"),
        lambda: lab.gateway.cli(command),
        lambda: lab.airflow(*words),
    )
    assert decoded(raw) == (direct.stdout, direct.stderr)
    assert raw.headers["content-type"].startswith("application/json")
    assert text.body == (direct.stdout if direct.returncode == 0 else direct.stderr)
    assert text.headers["content-type"].startswith("text/plain")
    assert text.headers["mwaa-gateway-request-id"] != raw.headers["mwaa-gateway-request-id"]
    assert "mwaa-gateway-fault" not in text.headers | raw.headers
    if direct.returncode == 0:
        assert (text.status, raw.status) == (200, 200)
    return direct


def test_dags_list(lab):
    direct = compare(lab, "dags list -o json", "dags", "list", "-o", "json")
    assert [dag["dag_id"] for dag in json.loads(direct.stdout)] == ["lab_hello", "lab_params"]


def test_a_leading_airflow_is_dropped(lab):
    assert compare(lab, "airflow version", "version").stdout.decode().strip() == VERSION


def test_dags_trigger_then_list_runs(lab):
    elsewhere = lab.folder / "elsewhere"
    shutil.copytree(LAB / "airflow2-home", elsewhere)
    words = ["dags", "trigger", "lab_hello", "--conf", '{"a": "b c"}']
    ours, direct = together(
        lambda: lab.gateway.cli("""dags trigger lab_hello --conf '{"a": "b c"}'""", "text/plain"),
        lambda: lab.airflow(*words, home=elsewhere),
    )
    assert ours.status == 200, ours.text()
    # the two runs differ in their times alone
    digits = re.compile(r"\d")
    assert digits.sub("0", ours.text()) == digits.sub("0", direct.stdout.decode())
    assert lab.calls().count(words) == 1
    assert list(lab.runs("lab_hello").values()) == [{"a": "b c"}]
    command = "dags list-runs -d lab_hello -o json"
    listed = compare(lab, command, *command.split())
    runs = [run["run_id"] for run in json.loads(listed.stdout)]
    assert runs == list(lab.runs("lab_hello"))
    assert runs[0].startswith("manual__")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("two  words and a tail ", id="spaces"),
        pytest.param("it's", id="single-quote"),
        pytest.param("""say "it's" 'so'""", id="both-quotes"),
        pytest.param("C:\\temp\\new \\\\ \\' \\\" \\", id="backslashes"),
        pytest.param("žluťoučký kůň 🐎 中文 e\u0301", id="unicode"),
        pytest.param("$HOME ${PATH} $(id) $((1+1)) `id` !! ~ * ? [a-z]", id="shell"),
        pytest.param("a; users list && b | c > d & # e", id="operators"),
        pytest.param("# not a comment", id="hash"),
        pytest.param("line one\nline two\n", id="newlines"),
        pytest.param('{"k": ["a b", {"c": null, "d": "\\"q\\""}]}', id="json"),
        pytest.param("%s %20 a=b --conf", id="percent"),
        pytest.param("", id="empty"),
    ],
)
def test_variables_keep_awkward_values(lab, request, value):
    key = request.node.callspec.id
    command = shlex.join(["variables", "set", key, value])
    check_variable(lab, key, value, lab.gateway.cli(command))
    assert ["variables", "set", key, value] in lab.calls()


def test_variables_keep_a_leading_dash(lab):
    value = "-1 --not-an-option"
    reply = lab.gateway.cli(f"variables set dash -- '{value}'")
    check_variable(lab, "dash", value, reply)


def check_variable(lab, key, value, reply):
    assert reply.status == 200, reply.text()
    assert decoded(reply) == (f"Variable {key} created\n".encode(), b"")
    assert lab.query("select val from variable where key = ?", key) == [(value,)]
    ours = lab.gateway.cli(f"variables get {key}", accept="text/plain")
    assert ours.text() == value + "\n"


def test_a_failing_command(lab):
    direct = compare(lab, "variables get nosuch", "variables", "get", "nosuch")
    assert direct.returncode == 1
    assert direct.stderr == b"Variable nosuch does not exist\n"
    told = lab.gateway.cli("variables get nosuch", "application/vnd.mwaa-gateway.cli+json")
    assert told.json()["succeeded"] is False
    assert told.json()["stderr"] == direct.stderr.decode()


def test_a_command_that_airflow_cannot_parse(lab):
    direct = compare(lab, "variables get", "variables", "get")
    assert direct.returncode == 2
    assert b"the following arguments are required" in direct.stderr


def test_a_refused_command(lab):
    before = len(lab.calls())
    reply = lab.gateway.cli("users list")
    assert reply.status == 403
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["mwaa-gateway-fault"] == "policy.unsupported_command"
    problem = reply.json()
    assert problem["code"] == "policy.unsupported_command"
    assert problem["status"] == 403
    assert "users list" in problem["detail"]
    assert problem["request_id"] == reply.headers["mwaa-gateway-request-id"]
    assert len(lab.calls()) == before, "a refused command reached Airflow"
