"""A configuration that is read again 200 times while real clients work."""

import http.client
import json
import os
import pty
import re
import shlex
import signal
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from programs import BINARY, Emulator, Gateway, curl, environment, eventually, toml

VERSION = "2.10.3"
RELOADS = 200
# The first ones fill caches and pools.
WARM = 40
# What the allocator may keep, in bytes.
SLACK = 3 << 20


@pytest.fixture
def emulator(tmp_path):
    home = tmp_path / "emulator"
    home.mkdir()
    with Emulator(home, "--control", "127.0.0.1:0") as emulator:
        emulator.control = emulator.line(r"^control (http://\S+)")[1]
        yield emulator


class Load:
    """Clients with one connection each, which must all last. Each request has a number of its own."""

    def __init__(self, gateway):
        self.address = urlsplit(gateway.url)
        self.ended = threading.Event()
        self.sent, self.problems = [], []
        kinds = [self.read] * 3 + [self.command] * 2 + [self.upload] * 2
        self.threads = [
            threading.Thread(target=self.run, args=(number, kind))
            for number, kind in enumerate(kinds)
        ]

    def run(self, number, kind):
        client = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=60)
        client.connect()
        socket = client.sock
        count = 0
        try:
            while not self.ended.is_set():
                count += 1
                mark = f"m{number}x{count}x"
                kind(client, mark)
                reply = client.getresponse()
                body = reply.read()
                self.sent.append(mark)
                if reply.status != 200:
                    self.problems.append((mark, reply.status, body))
                if client.sock is not socket:
                    self.problems.append((mark, "the connection ended"))
                    return
                time.sleep(0.02)
        except (OSError, http.client.HTTPException) as error:
            self.problems.append((mark, repr(error)))
        finally:
            client.close()

    def read(self, client, mark):
        client.request("GET", f"/api/v1/dags?tags={mark}")

    def command(self, client, mark):
        headers = {"Content-Type": "text/plain"}
        client.request("POST", "/aws_mwaa/cli", f"variables set {mark} 1", headers)

    def upload(self, client, mark):
        """A body in pieces, with pauses between them."""
        body = json.dumps({"dag_run_id": mark, "conf": {"text": "x" * 4096}}).encode()
        client.putrequest("POST", f"/api/v1/dags/lab_hello/dagRuns?mark={mark}")
        client.putheader("Content-Type", "application/json")
        client.putheader("Content-Length", str(len(body)))
        client.endheaders()
        for start in range(0, len(body), 512):
            client.send(body[start : start + 512])
            time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(90)


class Arrived:
    """How often each request has come to the web server. The journal is looked at often, because it
    has only the last 1000."""

    def __init__(self, emulator):
        self.url = f"{emulator.control}/journal?kind=web"
        self.times = {}

    def look(self):
        seen = {}
        for entry in curl(self.url).json()["entries"]:
            text = f"{entry['target']} {entry['command']}"
            for mark in re.findall(r"\bm\d+x\d+x", text):
                seen[mark] = seen.get(mark, 0) + 1
        for mark, count in seen.items():
            self.times[mark] = max(count, self.times.get(mark, 0))


def config_of(emulator, step, folder):
    """The configuration of a step: each differs from the one before in many ways."""
    config = emulator.config_for_one(
        airflow_version=VERSION,
        cli_concurrency=1 + step % 3,
        deny=["dags delete"] if step % 2 else [],
    )
    config["limits"] = {"queue_size": 50 + step % 7, "keep_alive": f"{60 + step % 5}s"}
    if step % 3 == 0:
        listener = {"address": f"unix:{folder}/team.sock", "policy": "read-only"}
        config["listeners"] = {"team": listener}
    only = next(iter(config["environments"].values()))
    only["default"] = True
    if step % 4 == 0:
        # each time another identity
        other = {**only, "name": f"other-{step % 8}", "default": False}
        config["environments"]["other"] = other
    return config


def reads(gateway):
    return curl(f"{gateway.management}/status").json()["configuration"]


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def test_no_request_is_lost_or_sent_twice_by_200_reloads(emulator, tmp_path):
    """Also of one whose body is on its way, or that waits in the queue."""
    home = tmp_path / "gateway"
    home.mkdir()
    file = Path(home) / "mwaa-gateway.toml"
    secrets = emulator.credentials()
    arrived = Arrived(emulator)
    with Gateway(home, config_of(emulator, 1, home), **secrets) as gateway, Load(gateway) as load:
        memory = handles = None
        for step in range(2, RELOADS + 2):
            before = reads(gateway)["reads"]
            new = file.with_suffix(".new")
            new.write_text(toml(config_of(emulator, step, home)))
            new.replace(file)
            gateway.signal(signal.SIGHUP)
            state = eventually(
                lambda before=before: (now := reads(gateway))["reads"] > before and now,
                "the reload",
            )
            assert state["failure"] is None, state
            assert not load.problems, load.problems
            arrived.look()
            if step == WARM:
                memory, handles = gateway.memory(), descriptors(gateway)

        grown = gateway.memory() - memory
        # connections come and go with the load; a descriptor that leaks stays
        eventually(lambda: descriptors(gateway) < handles + 8, "as many descriptors as before")
        load.ended.set()
        for thread in load.threads:
            thread.join(90)
    assert not load.problems, load.problems
    assert len(load.sent) > RELOADS, "there was a load"

    arrived.look()
    assert arrived.times == dict.fromkeys(load.sent, 1)

    print(f"{len(load.sent)} requests; memory {grown:+} bytes")
    assert grown < SLACK


def test_a_gateway_ends_with_its_terminal(tmp_path):
    """A shell passes on the SIGHUP of its terminal, which is no request to read the configuration."""
    words = [BINARY, "serve", "--listen=127.0.0.1:0", "--management=127.0.0.1:0", "--environment=x"]
    command = shlex.join(map(str, words))
    shell, terminal = pty.fork()
    if shell == 0:
        os.chdir(tmp_path)
        os.execvpe("bash", ["bash", "--norc", "-i"], environment(tmp_path, AWS_REGION="eu-west-1"))
    os.write(terminal, f"{command} 2> log & echo $! > pid\n".encode())
    log = tmp_path / "log"
    eventually(lambda: log.exists() and "management on" in log.read_text(), "the start")
    process = int((tmp_path / "pid").read_text())

    os.kill(process, signal.SIGHUP)
    eventually(lambda: "nothing to reload" in log.read_text(), "the answer")
    os.close(terminal)
    eventually(lambda: not Path(f"/proc/{process}").exists(), "the end")
    assert "stopping" in log.read_text()
    os.waitpid(shell, 0)
