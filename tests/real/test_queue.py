"""The queue in front of real Airflow command lines, and a trigger that is written twice."""

import contextlib
import http.client
import shutil
import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from programs import AIRFLOW, LAB, Emulator, Gateway, Relay, eventually

VERSIONS = {"airflow2": "2.10.5", "airflow332": "3.3.2"}


class Line(Relay):
    """The way to the web server, which can be cut."""

    def __init__(self, target):
        self.open = []
        super().__init__(f"http://{target}")

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self.target)
            self.open += [near, far]
            for ends in [(near, far, True), (far, near, False)]:
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def cut(self):
        # what is opened because of the cut is not cut
        ends, self.open = self.open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Lab:
    """One Airflow behind the emulator, and a gateway that reaches it by a line of its own."""

    def __init__(self, name, folder):
        self.home = folder / "airflow"
        shutil.copytree(LAB / f"{name}-home", self.home)
        self.journal = folder / "journal"
        self.journal.mkdir()
        self.options = "--no-replace-microseconds" if name == "airflow2" else ""

    def query(self, question, *values):
        with sqlite3.connect(self.home / "airflow.db", timeout=30) as database:
            return [row[0] for row in database.execute(question, values)]

    def calls(self):
        """The arguments of every call of the real program."""
        files = [file.read_bytes() for file in self.journal.iterdir()]
        return [[word.decode() for word in file.split(b"\0")[:-1]] for file in files]

    def post(self, command, address="127.0.0.1", **headers):
        """One command from one of this machine's addresses."""
        url = urlsplit(self.gateway.url)
        client = http.client.HTTPConnection(
            url.hostname, url.port, timeout=200, source_address=(address, 0)
        )
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Content-Type"] = "text/plain"
        client.request("POST", "/aws_mwaa/cli", command, headers)
        reply = client.getresponse()
        body = reply.read().decode()
        client.close()
        return reply, body


@pytest.fixture(scope="module", params=VERSIONS)
def lab(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"queue-{request.param}")
    version = VERSIONS[request.param]
    lab = Lab(request.param, folder)
    arguments = ["--airflow-version", version, "--airflow-bin", AIRFLOW]
    places = {"AIRFLOW_HOME": lab.home, "AIRFLOW_JOURNAL": lab.journal}
    with Emulator(folder, *arguments, **places) as emulator:
        config = emulator.config_for_one(airflow_version=version, cli_concurrency=2)
        table = next(iter(config["environments"].values()))
        with Line(table["connect_to"]) as lab.line:
            table["connect_to"] = lab.line.url.removeprefix("http://")
            with Gateway(folder, config, **emulator.credentials()) as lab.gateway:
                yield lab


def test_more_clients_than_slots_are_all_served_once(lab):
    names = [f"key{number}" for number in range(6)]

    def set_variable(number):
        address = f"127.0.0.{1 + number % 3}"
        return lab.post(f"variables set key{number} v", address, Accept="text/plain")

    with ThreadPoolExecutor(len(names)) as pool:
        replies = list(pool.map(set_variable, range(len(names))))
    for reply, body in replies:
        assert reply.status == 200, body
        assert reply.headers["Mwaa-Gateway-Succeeded"] == "true", body
    wanted = [["variables", "set", name, "v"] for name in names]
    assert sorted(call for call in lab.calls() if call[0] == "variables") == wanted
    assert sorted(lab.query("select key from variable where key like 'key%'")) == names
    assert lab.gateway.metric("mwaa_gateway_queue_waiting") == 0
    assert lab.gateway.metric("mwaa_gateway_queue_wait_seconds_count") == len(names)


def test_a_trigger_with_a_lost_response_runs_once_and_succeeds(lab):
    command = f"dags trigger lab_hello {lab.options} --run-id once"

    def runs():
        return lab.query("select run_id from dag_run where dag_id = ?", "lab_hello")

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(
            lab.post,
            command,
            Mwaa_Gateway_Repeatable="?1",
            Accept="application/vnd.mwaa-gateway.cli+json;detail=full",
        )
        # the run exists, but the command has not ended yet
        eventually(runs, "the run")
        lab.line.cut()
        reply, body = answer.result()
    assert reply.headers["Mwaa-Gateway-Repeated"] == "?1", body
    assert reply.headers["Mwaa-Gateway-Succeeded"] == "true", body
    assert "DagRunAlreadyExists" in body
    assert runs() == ["once"]
    triggers = [call for call in lab.calls() if call[:2] == ["dags", "trigger"]]
    assert len(triggers) == 2 and triggers[0] == triggers[1]
    # without the header the outcome is unknown, and nothing is written again
    command = command.replace("once", "twice")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lab.post, command)
        eventually(lambda: len(runs()) == 2, "the second run")
        lab.line.cut()
        reply, body = answer.result()
    assert reply.status == 502 and "outcome: unknown" in body
    triggers = [call for call in lab.calls() if call[:2] == ["dags", "trigger"]]
    assert len(triggers) == 3
