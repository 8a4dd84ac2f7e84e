"""A client of many gateways: sends requests at a fixed rate, and counts what comes back."""

import asyncio
import collections
import json
import random
import re

# So many requests of a kind wait at one gateway; beyond that, no more is sent to it.
WAITING = {"rest": 6, "command": 3}
TICK = 0.005

REST = "GET /api/v1/version HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n"
COMMAND = (
    "POST /aws_mwaa/cli HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
    "Content-Type: text/plain\r\nContent-Length: 7\r\n\r\nversion"
)


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, target):
        self.target = target
        self.kind = None
        self.data = b""

    def connection_made(self, transport):
        self.transport = transport

    def send(self, kind, request):
        self.kind = kind
        self.transport.write(request)

    def data_received(self, data):
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if not end:
            return
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if len(body) < int(length[1]):
            return
        self.target.end(self.kind, int(head[9:12]), body)
        self.kind, self.data = None, b""
        self.target.idle.append(self)

    def connection_lost(self, _error):
        if self in self.target.idle:
            self.target.idle.remove(self)
        if self.kind:
            self.target.end(self.kind, "lost", b"")


class Target:
    """A gateway."""

    def __init__(self, url, pacer):
        self.host, _, port = url.removeprefix("http://").partition(":")
        self.port = int(port)
        self.pacer = pacer
        self.idle = []
        self.waiting = dict.fromkeys(WAITING, 0)
        self.is_killed = False
        host = f"{self.host}:{self.port}"
        self.requests = {
            "rest": REST.format(host=host).encode(),
            "command": COMMAND.format(host=host).encode(),
        }

    def end(self, kind, status, body):
        self.waiting[kind] -= 1
        if status == "lost" and self.is_killed:
            status = "killed"
        if status not in (200, "killed"):
            try:
                status = json.loads(body)["code"]
            except (ValueError, KeyError):
                status = f"{status}: {body[:200]!r}"
        self.pacer.results[kind, status] += 1

    def send(self, kind):
        if self.waiting[kind] >= WAITING[kind]:
            self.pacer.results[kind, "not sent"] += 1
            return
        self.waiting[kind] += 1
        if self.idle:
            self.idle.pop().send(kind, self.requests[kind])
        else:
            opening = asyncio.create_task(self.open(kind))
            self.pacer.tasks.add(opening)
            opening.add_done_callback(self.pacer.tasks.discard)

    async def open(self, kind):
        loop = asyncio.get_running_loop()
        try:
            _, one = await loop.create_connection(lambda: Connection(self), self.host, self.port)
        except OSError:
            self.end(kind, "lost", b"")
        else:
            one.send(kind, self.requests[kind])


class Pacer:
    """Sends requests to all targets in turn."""

    def __init__(self, rates):
        self.rates = rates
        self.targets = []
        self.results = collections.Counter()
        self.tasks = set()

    def add(self, url):
        self.targets.append(Target(url, self))
        return self.targets[-1]

    async def run(self, seconds):
        loop = asyncio.get_running_loop()
        start = loop.time()
        sent = dict.fromkeys(self.rates, 0)
        while (now := loop.time() - start) < seconds:
            for kind, rate in self.rates.items():
                while sent[kind] < rate * now:
                    sent[kind] += 1
                    random.choice(self.targets).send(kind)
            await asyncio.sleep(TICK)

    async def finish(self, seconds):
        """Waits until nothing is in flight."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while self.in_flight() and loop.time() < end:
            await asyncio.sleep(0.1)
        return self.in_flight()

    def in_flight(self):
        return sum(sum(one.waiting.values()) for one in self.targets)
