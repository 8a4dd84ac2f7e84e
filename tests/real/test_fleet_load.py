"""Twenty gateways and one environment, under load, while gateways and store are killed and paused."""

import asyncio
import base64
import contextlib
import os
import random
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pacer import Pacer
from programs import ROOT, Emulator, Gateway, curl, eventually, run_in_thread
from test_fleet import Redis

REPLICAS = 20
SLOTS = 4
RATES = {"rest": float(os.environ.get("FLEET_RATE", "2000")), "command": 8}
SECONDS = 60
# a token is used for 50 s of its 60
LIFE = 50


class Fleet:
    """The gateways, their store, their environment, and their clients."""

    def __init__(self, folder):
        self.stack = contextlib.ExitStack()
        self.folder = folder
        self.pacer = Pacer(RATES)
        self.redis = self.start_redis()
        # it could run more commands than the fleet may start
        options = ["--cli-slots", 10 * SLOTS, "--fault", "command=Slow:200ms"]
        options += ["--control", "127.0.0.1:0"]
        self.emulator = self.stack.enter_context(Emulator(folder, *options))
        self.control = self.emulator.line(r"(http://127\.0\.0\.1:\d+)\S* .*control|control:? +(http\S+)")
        self.control = next(group for group in self.control.groups() if group)
        for name, text in (("fleet.key", base64.b64encode(os.urandom(32)).decode()),
                           ("password", "canary-password")):
            (folder / name).write_text(text + "\n")
            (folder / name).chmod(0o600)
        self.config = self.emulator.config_for_one(cli_concurrency=SLOTS)
        (name, table), = self.config["environments"].items()
        self.config["environments"] = {"canary-environment": {"name": name, **table}}
        self.config["fleet"] = {
            "store": f"unix://gate@{self.redis.socket}",
            "key_file": str(folder / "fleet.key"),
            "password_file": str(folder / "password"),
        }
        # the shortest lease
        self.config["limits"] = {"cli_first_byte": "20s", "queue_size": 1000, "threads": 1}
        with ThreadPoolExecutor(4) as pool:
            self.gateways = list(pool.map(self.start, range(REPLICAS)))
        self.targets = [self.pacer.add(gateway.url) for gateway in self.gateways]

    def start_redis(self):
        home = self.folder / "redis"
        home.mkdir(exist_ok=True)
        return self.stack.enter_context(Redis(home))

    def start(self, number):
        home = self.folder / f"gateway-{number}"
        home.mkdir(exist_ok=True)
        more = {"MWAA_GATEWAY_LOG": "warn,mwaa_app=info"}
        return self.stack.enter_context(
            Gateway(home, self.config, **self.emulator.credentials(), **more)
        )

    def kill(self, number):
        self.targets[number].is_killed = True
        self.gateways[number].signal(signal.SIGKILL)

    def replace(self, number):
        self.gateways[number] = self.start(number)
        target = self.pacer.add(self.gateways[number].url)
        self.pacer.targets.remove(self.targets[number])
        self.targets[number] = target

    def counts(self):
        return curl(f"{self.control}/counts").json()

    def alone(self):
        """The gateways that work without the store."""
        states = [curl(f"{one.management}/status").json()["fleet"] for one in self.gateways]
        return [one for one in states if one["trouble"] or any(
            slots["without_store"] for slots in one["slots"])]


class Watch:
    """What the environment saw, phase by phase."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.mints = []
        self.seen = 0
        self.phases = {}
        self.lock = asyncio.Lock()

    async def look(self):
        counts = await asyncio.to_thread(self.fleet.counts)
        self.mints += [time.monotonic()] * (counts["cli_tokens"] - self.seen)
        self.seen = counts["cli_tokens"]
        return counts

    async def run(self):
        while True:
            async with self.lock:
                await self.look()
            await asyncio.sleep(0.1)

    async def end(self, phase):
        """Ends a phase: stores its counts, and resets them."""
        async with self.lock:
            self.phases[phase] = await self.look()
            url = f"{self.fleet.control}/journal"
            await asyncio.to_thread(curl, url, options=["--request", "DELETE"])
            self.seen = 0

    def most_mints(self, start, end):
        """The most tokens that were made in the use of one, between two times."""
        mints = [at for at in self.mints if start <= at <= end]
        return max((sum(at <= one < at + LIFE for one in mints) for at in mints), default=0)


async def go_through_trouble(fleet, watch):
    """A minute of faults, each as long as its sleep says. Returns the time at which the first one of the
    store began."""
    numbers = list(range(REPLICAS))
    random.shuffle(numbers)
    killed, paused = numbers[:2], numbers[2:5]
    await asyncio.sleep(6)
    for number in killed:
        fleet.kill(number)
    await asyncio.sleep(2)
    for number in killed:
        await asyncio.to_thread(fleet.replace, number)
    await asyncio.sleep(2)
    for number in paused:
        fleet.gateways[number].signal(signal.SIGSTOP)
    await asyncio.sleep(6)
    for number in paused:
        fleet.gateways[number].signal(signal.SIGCONT)
    # the first lease time is over by then, and all slots are granted
    await asyncio.sleep(20)
    await watch.end("the store works")

    lost = time.monotonic()
    await asyncio.to_thread(fleet.redis.ask, "FLUSHALL")
    await asyncio.sleep(6)
    await watch.end("the store is flushed")

    fleet.redis.signal(signal.SIGSTOP)
    await asyncio.sleep(3)
    fleet.redis.signal(signal.SIGCONT)
    await asyncio.sleep(3)
    fleet.redis.signal(signal.SIGKILL)
    await asyncio.sleep(5)
    fleet.redis = await asyncio.to_thread(fleet.start_redis)
    await asyncio.sleep(7)
    await watch.end("the store is gone")
    return lost


async def run(fleet, watch):
    load = asyncio.create_task(fleet.pacer.run(SECONDS))
    look = asyncio.create_task(watch.run())
    lost = await go_through_trouble(fleet, watch)
    await load
    left = await fleet.pacer.finish(45)
    look.cancel()
    return lost, left


def find_in_memory(process, words):
    """The words that are in the memory of a process."""
    found = set()
    with open(f"/proc/{process.pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            start, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            if not mode.startswith("rw"):
                continue
            memory.seek(int(start, 16))
            with contextlib.suppress(OSError):
                text = memory.read(int(end, 16) - int(start, 16))
                found |= {word for word in words if word in text}
    return found


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path)
    with fleet.stack:
        yield fleet
        # all at once: each takes a while to drain
        for gateway in fleet.gateways:
            gateway.signal(signal.SIGTERM)


def check_store(fleet):
    """Nothing of the environment is in clear in the store: in its file, in its memory, on its way out."""
    redis = fleet.redis
    redis.ask("SAVE")
    names = redis.ask("--scan").split()
    # the replicas; and of the environment the slots and the token; every gateway has a session
    assert len(names) >= 3, names
    dump = b"".join(name + redis.ask("HGETALL", name.decode()) for name in names)
    file = (fleet.folder / "redis/dump.rdb").read_bytes()
    assert names[0] in file
    words = [b"canary-environment", fleet.emulator.host().encode(), fleet.emulator.key.encode()]
    words += [b"amazonaws", b"leases", b"session=", b"Bearer", b"eyJ"]
    # these are words of Redis too
    name = next(iter(fleet.emulator.names.values())).encode()
    for text in (dump, file):
        assert not [word for word in [*words, name, b"members"] if word in text]
    assert find_in_memory(redis.process, [names[0]]) == {names[0]}
    assert not find_in_memory(redis.process, words)


def check_display(fleet):
    """Every gateway shows all replicas; and there is a metric for each name that people are given."""
    names = {curl(f"{one.management}/status").json()["fleet"]["replica"] for one in fleet.gateways}
    page = curl(f"{fleet.gateways[0].url}/-/").text()
    assert names <= set(re.findall(r"<code>(\w{6})</code>", page)), page
    scrapes = "".join(curl(f"{one.management}/metrics").text() for one in fleet.gateways)
    shared = [float(count) for count in re.findall(
        r'^mwaa_gateway_mints_total\{.*outcome="shared".*\} (\S+)$', scrapes, re.M)]
    assert sum(shared) >= REPLICAS
    for file in ("docs/operations/fleet.md", "deploy/grafana/dashboard.json", "deploy/prometheus/alerts.yaml"):
        named = set(re.findall(r"mwaa_gateway_fleet_\w+", (ROOT / file).read_text()))
        assert named
        assert not [name for name in named if not re.search(rf"^{name}[{{ ]", scrapes, re.M)
                    and not re.search(rf"^{name}_bucket{{", scrapes, re.M)]


def test_twenty_gateways_keep_the_promises(fleet):
    """docs/how-it-works/fleet.md, \"How it was checked\"."""
    for gateway in fleet.gateways[:2]:
        assert gateway.cli("version").status == 200
        assert curl(f"{gateway.url}/api/v1/version").status == 200
    watch = Watch(fleet)
    lost, left = run_in_thread(run(fleet, watch))

    print(f"{SECONDS} s: {dict(fleet.pacer.results)}; {watch.phases}; left {left}")
    first = watch.mints[0]
    print([round(at - first, 1) for at in watch.mints], "store lost at", round(lost - first, 1))
    peaks = {phase: counts["peak_commands"] for phase, counts in watch.phases.items()}
    assert peaks["the store works"] == SLOTS
    assert peaks["the store is flushed"] <= SLOTS + SLOTS // 2
    assert peaks["the store is gone"] <= max(SLOTS, REPLICAS) + SLOTS

    assert watch.most_mints(first, lost) <= 2
    works = watch.phases["the store works"]
    assert works["logins"] == 1
    # the rest is GetEnvironment, which each gateway needs at its start
    assert works["aws"] - works["cli_tokens"] - works["web_tokens"] < REPLICAS / 2

    # no client saw an error, but for those of gateways that were killed
    unexpected = {key: count for key, count in fleet.pacer.results.items()
                  if key[1] not in (200, "killed", "not sent")}
    assert not unexpected
    assert left == 0
    eventually(lambda: not fleet.alone(), "every gateway uses the store again")
    check_display(fleet)
    check_store(fleet)
