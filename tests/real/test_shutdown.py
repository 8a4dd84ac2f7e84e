"""SIGTERM with 500 requests of many kinds in flight: each client gets a complete response, and can
explain it."""

import asyncio
import collections
import os
import random
import signal
import urllib.request

import pytest
from programs import Emulator, Gateway, run_in_thread

ROUNDS = int(os.environ.get("SHUTDOWN_ROUNDS", "2"))
SIZE = 4 << 20
# clients that meet the end send their requests in so many seconds before and after the signal
BEFORE = 0.1
JSON = "Content-Type: application/json\r\n"
TEXT = "Content-Type: text/plain\r\n"
EVENTS = TEXT + "Accept: application/vnd.mwaa-gateway.cli-events+ndjson\r\n"


class Client:
    """One connection, and every byte of what comes on it."""

    def __init__(self, gateway, start):
        self.host = gateway.url.removeprefix("http://")
        self.has_begun = False  # a response
        self.start = start  # set shortly before the signal is sent

    async def connect(self):
        host, port = self.host.split(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port), limit=1 << 16)

    def send(self, method, path, headers="", body=b"", length=None):
        length = len(body) if length is None else length
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\n{headers}Content-Length: {length}\r\n\r\n"
        self.writer.write(head.encode() + body)

    async def response(self, pause=0.0):
        """Reads a response to its end, whatever its framing. Fails if it is not complete."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        self.has_begun = True
        status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        body = bytearray()
        if "content-length" in fields:
            left = int(fields["content-length"])
            while left:
                piece = await self.reader.readexactly(min(left, 1 << 18))
                left -= len(piece)
                body += piece[-1000:]
                await asyncio.sleep(pause)
        else:
            assert fields["transfer-encoding"] == "chunked", head
            while size := int(await self.reader.readuntil(b"\n"), 16):
                body += (await self.reader.readexactly(size + 2))[-1000:-2]
                await asyncio.sleep(pause)
            assert await self.reader.readline() == b"\r\n"
        assert "mwaa-gateway-request-id" in fields, head
        return int(status.split()[1]), fields, bytes(body)


def explain(reply):
    status, fields, body = reply
    fault = fields.get("mwaa-gateway-fault")
    if body.startswith(b"{\"event"):
        last = body.splitlines()[-1]
        fault = next((code for code in ("gateway.stopping", "gateway.interrupted") if code.encode() in last), None)
        assert fault or b'"event":"done"' in last, body
    if fault:
        return fault
    assert status == 200, reply
    return "done"


async def ask(client, *request):
    await client.connect()
    client.send(*request)
    return explain(await client.response())


async def download(client, chunked):
    await client.connect()
    client.send("GET", f"/static/emulator/zeros?bytes={SIZE}&chunked={chunked}")
    try:
        return explain(await client.response(pause=0.05))
    except asyncio.IncompleteReadError:
        assert client.has_begun, "no answer at all"
        return "broken off"


async def upload(client):
    await client.connect()
    client.send("POST", "/api/v1/none", JSON, length=1 << 20)
    for _ in range(16):
        client.writer.write(b" " * (1 << 16))
        await client.writer.drain()
        await asyncio.sleep(0.05)
    status, fields, _ = await client.response()
    # Airflow has no such path
    return fields.get("mwaa-gateway-fault") or {404: "done", 405: "done"}[status]


async def reuse(client, moment, command):
    """Sends a second request on a kept connection, just when it may be closed."""
    await client.connect()
    client.send("GET", "/-/")
    first = await client.response()
    assert explain(first) == "done"
    if first[1].get("connection") == "close":
        return "done"
    await client.start.wait()
    await asyncio.sleep(moment)
    if command:
        client.send("POST", "/aws_mwaa/cli", TEXT, b"version")
    else:
        client.send("GET", "/-/")
    return explain(await client.response())


async def arrive(client, moment):
    """Connects just when the listener may be closed. A refusal is an answer too, a reset is none."""
    await client.start.wait()
    await asyncio.sleep(moment)
    try:
        await client.connect()
    except ConnectionRefusedError:
        return "refused"
    client.send("GET", "/-/")
    return explain(await client.response())


def make_clients(gateway, start):
    """500 clients, each with its kind."""
    def client():
        return Client(gateway, start)

    def moment():
        return random.uniform(0, 2 * BEFORE)

    yield from (("rest", ask(client(), "GET", "/api/v1/dags")) for _ in range(80))
    yield from (("change", ask(client(), "PATCH", "/api/v1/dags/example_etl", JSON, b'{"is_paused": true}'))
                for _ in range(20))
    yield from (("command", ask(client(), "POST", "/aws_mwaa/cli", TEXT, b"version")) for _ in range(50))
    yield from (("events", ask(client(), "POST", "/aws_mwaa/cli", EVENTS, b"version")) for _ in range(50))
    yield from (("download", download(client(), chunked)) for chunked in ["true", "false"] * 15)
    yield from (("upload", upload(client())) for _ in range(20))
    yield from (("reuse", reuse(client(), moment(), number % 10 == 0)) for number in range(150))
    yield from (("arrive", arrive(client(), moment())) for _ in range(100))


async def stop_under_load(gateway):
    start = asyncio.Event()
    counts = collections.Counter()

    async def count(kind, work):
        try:
            counts[kind, await asyncio.wait_for(work, 60)] += 1
        except Exception as error:
            counts[kind, f"{type(error).__name__}: {error}"] += 1

    tasks = [asyncio.create_task(count(*client)) for client in make_clients(gateway, start)]
    await asyncio.sleep(0.6)
    start.set()
    await asyncio.sleep(BEFORE)
    gateway.signal(signal.SIGTERM)
    await asyncio.gather(*tasks)
    return counts


# what each kind may get: when there is enough time, and when there is not
ENOUGH = {
    "rest": {"done"},
    "change": {"done"},
    "command": {"done"},
    "events": {"done"},
    "download": {"done"},
    "upload": {"done"},
    "reuse": {"done", "gateway.stopping"},
    "arrive": {"done", "gateway.stopping", "refused"},
}
SCARCE = ENOUGH | {
    "rest": {"done", "gateway.stopping"},
    "change": {"done", "gateway.interrupted", "gateway.stopping"},
    "command": {"done", "gateway.interrupted", "gateway.stopping"},
    "events": {"done", "gateway.interrupted", "gateway.stopping"},
    "download": {"done", "gateway.stopping", "broken off"},
    "upload": {"done", "gateway.interrupted", "gateway.stopping"},
    "reuse": {"done", "gateway.interrupted", "gateway.stopping"},
}


@pytest.mark.parametrize(
    ("drain", "slow", "delay", "expected"),
    [("60s", "300ms", "0s", ENOUGH), ("60s", "300ms", "300ms", ENOUGH), ("2s", "1500ms", "0s", SCARCE)],
)
def test_every_client_gets_an_answer(tmp_path, drain, slow, delay, expected):
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Emulator(folder, "--control", "127.0.0.1:0", "--cli-slots", "16") as emulator:
            control = emulator.line(r"^\s*control:?\s+(http://\S+)")[1]
            config = emulator.config_for_one(airflow_version="2.10.3", cli_concurrency=16)
            config["limits"] = {"connections": 2048, "queue_size": 200, "drain": drain, "shutdown_delay": delay}
            with Gateway(folder, config, **emulator.credentials()) as gateway:
                assert gateway.cli("version").status == 200
                rest = urllib.request.urlopen(f"{gateway.url}/api/v1/dags")
                assert rest.status == 200
                fault = f'{{"kind": "Slow:{slow}"}}'.encode()
                urllib.request.urlopen(urllib.request.Request(f"{control}/faults/web", fault, method="PUT"))
                counts = run_in_thread(stop_under_load(gateway))
                code = gateway.wait()
        print(drain, delay, dict(sorted(counts.items())))
        assert counts.total() == 500
        wrong = {key: count for key, count in counts.items() if key[1] not in expected[key[0]]}
        assert not wrong, f"round {number}: {wrong}\n{gateway.output()[-4000:]}"
        cut = any(outcome == "gateway.interrupted" for _, outcome in counts)
        assert code == (143 if cut else code)
        assert code in ({0} if expected is ENOUGH else {0, 143})
