"""A gateway whose store responds, but breaks its promises: a server of a few lines, which speaks Redis's protocol."""

import base64
import contextlib
import hashlib
import os
import re
import socket
import time
from pathlib import Path

import pytest
from programs import Emulator, Gateway, curl, eventually
from stores import Redis, serve_clients


class Server:
    """Redis's protocol on a port. `answer` gets the words of each script, and returns the response."""

    def __init__(self, answer):
        self.answer = answer
        self.address = "redis://127.0.0.1:%d" % serve_clients(self.serve)

    def serve(self, client):
        with contextlib.suppress(OSError), client:
            stream = client.makefile("rb")
            while line := stream.readline():
                words = [stream.read(int(stream.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
                is_script = words[0].upper() == b"EVAL"
                for part in self.answer(words) if is_script else [b"+OK\r\n"]:
                    client.sendall(part)


def bulk(data):
    return b"$-1\r\n" if data is None else b"$%d\r\n%s\r\n" % (len(data), data)


class Records:
    """Records that are kept, or not."""

    def __init__(self, is_kept=True, is_written=True):
        self.is_kept, self.is_written = is_kept, is_written
        self.records = {}
        self.calls = 0

    def __call__(self, words):
        self.calls += 1
        _, script, _, name, *values = words
        now = b":%d\r\n:0\r\n" % time.time()
        version, value = self.records.get(name, (None, None))
        if b"HSET" not in script:
            return [b"*4\r\n" + now + bulk(version) + bulk(value)]
        is_done = self.is_written and (version or b"") == values[0]
        if is_done and self.is_kept:
            self.records[name] = values[1:3]
        return [b"*3\r\n" + now + b":%d\r\n" % is_done]


def endless(_words):
    yield b"*4\r\n:1\r\n:1\r\n$100000000000\r\n"
    while True:
        yield bytes(1 << 20)


@contextlib.contextmanager
def gateway(folder, store, on_loss="share"):
    key = folder / "fleet.key"
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    key.chmod(0o600)
    with Emulator(folder) as emulator:
        config = emulator.config_for_one(cli_concurrency=2)
        config["fleet"] = {"key_file": str(key), "on_loss": on_loss, **store}
        config["limits"] = {"cli_first_byte": "20s"}
        with Gateway(folder, config, **emulator.credentials()) as gateway:
            yield gateway


def fleet(gateway):
    return curl(f"{gateway.management}/status").json()["fleet"]


@pytest.mark.parametrize("records", [Records(is_kept=False), Records(is_written=False)], ids=["forgets", "refuses"])
def test_a_store_that_keeps_no_write_stops_no_command(tmp_path, records):
    with gateway(tmp_path, {"store": Server(records).address}) as one:
        for _ in range(3):
            assert one.cli("dags list").status == 200
        assert fleet(one)["slots"][0]["without_store"]
        one.line("does not keep the command slots")
        records.is_kept = records.is_written = True
        eventually(lambda: not fleet(one)["slots"][0]["without_store"], "it is used again")
        assert one.cli("dags list").status == 200
        assert records.calls < 1000


def test_a_store_that_keeps_no_write_refuses_commands_that_need_it(tmp_path):
    store = {"store": Server(Records(is_written=False)).address}
    with gateway(tmp_path, store, on_loss="refuse") as one:
        reply = one.cli("dags list", accept="application/json")
        assert (reply.status, reply.json()["code"]) == (503, "fleet.unavailable")


def test_a_response_without_an_end_costs_little_memory(tmp_path):
    with gateway(tmp_path, {"store": Server(endless).address}) as one:
        assert one.cli("dags list").status == 200
        one.line("has sent more than")
        peak = Path(f"/proc/{one.process.pid}/status").read_text()
        assert int(re.search(r"VmHWM:\s+(\d+)", peak)[1]) < 100_000


# The name of the list of replicas.
MEMBERS = hashlib.sha256(len(b"members").to_bytes(8) + b"members").digest()
MEMBERS = b"mwaa-gateway:" + base64.urlsafe_b64encode(MEMBERS).rstrip(b"=")


class Cutter:
    """In front of Redis: the response to the first write of the list of replicas is lost."""

    def __init__(self, redis):
        self.redis = redis
        self.cut = 0
        self.address = "redis://gate@127.0.0.1:%d" % serve_clients(self.serve)

    def serve(self, client):
        with contextlib.suppress(OSError), client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self.redis.socket))
            while request := client.recv(1 << 20):
                server.sendall(request)
                response = server.recv(1 << 20)
                if b"HSET" in request and MEMBERS in request and not self.cut:
                    self.cut += 1
                    return
                client.sendall(response)


def test_a_write_whose_response_was_lost_is_not_made_again(tmp_path):
    with Redis(tmp_path / "redis") as redis:
        store, _ = redis.settings()
        cutter = Cutter(redis)
        store["store"] = cutter.address
        with gateway(tmp_path, store) as one:
            assert one.cli("dags list").status == 200
            eventually(lambda: fleet(one)["replicas"], "it has announced itself")
            assert cutter.cut == 1 and fleet(one)["store_errors"] == 0
            assert redis.ask("HGET", MEMBERS.decode(), "v").startswith(b"1-")
