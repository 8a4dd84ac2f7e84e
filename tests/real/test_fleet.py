"""Several gateways with one store, which is killed, paused and emptied: a real Redis and Valkey, and moto for DynamoDB."""

import base64
import contextlib
import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from browser import Tab
from programs import Emulator, Gateway, curl, eventually
from stores import DynamoDb, Redis, Valkey

SLOTS = 2
REPLICAS = 3


class Replicas:
    """Gateways to one environment, which runs as many commands at once as the fleet may."""

    def __init__(self, folder, engine, *options, on_loss="share", count=REPLICAS):
        self.stack = contextlib.ExitStack()
        self.folder = folder
        self.store = self.stack.enter_context(engine(folder / "store"))
        options = ["--cli-slots", SLOTS, "--fault", "command=Slow:200ms", *options]
        options += ["--control", "127.0.0.1:0"]
        self.emulator = self.stack.enter_context(Emulator(folder, *options))
        self.control = self.emulator.line(r"(http://127\.0\.0\.1:\d+)\S* .*control|control:? +(http\S+)")
        self.control = next(group for group in self.control.groups() if group)
        key = folder / "fleet.key"
        key.write_text(base64.b64encode(os.urandom(32)).decode() + "\n")
        key.chmod(0o600)
        self.config = self.emulator.config_for_one(cli_concurrency=SLOTS)
        store, self.variables = self.store.settings()
        self.config["fleet"] = {**store, "key_file": str(key), "on_loss": on_loss}
        # the shortest lease
        self.config["limits"] = {"cli_first_byte": "20s", "queue_size": 100}
        self.gateways = [self.start(number) for number in range(count)]

    def start(self, number):
        home = self.folder / f"gateway-{number}"
        home.mkdir(exist_ok=True)
        return self.stack.enter_context(
            Gateway(home, self.config, **self.emulator.credentials(), **self.variables)
        )

    def kill_store(self):
        self.store.signal(signal.SIGKILL)
        self.store.wait()

    def restart_store(self):
        """Starts the store again, without its data."""
        self.store = self.stack.enter_context(self.store.again())

    def run(self, count, gateways=None):
        """Posts so many commands to each gateway at once, and returns the replies."""
        gateways = gateways or self.gateways
        with ThreadPoolExecutor(count * len(gateways)) as pool:
            sent = [pool.submit(one.cli, "dags list") for one in gateways for _ in range(count)]
            return [one.result() for one in sent]

    def journal(self):
        return curl(f"{self.control}/journal").json()["entries"]

    def refused(self):
        """The commands that the emulator refused because it ran as many as it can."""
        return [one for one in self.journal() if one["kind"] == "web" and one["status"] == 503]

    def status(self, gateway):
        return curl(f"{gateway.management}/status").json()["fleet"]

    def wait_until_back(self):
        """Waits until every gateway uses the store."""

        def is_back(gateway):
            fleet = self.status(gateway)
            alone = any(one["without_store"] for one in fleet["slots"])
            return fleet["trouble"] is None and not alone

        for gateway in self.gateways:
            eventually(lambda one=gateway: is_back(one), "the store is used again")


@pytest.fixture(params=[Redis, Valkey, DynamoDb])
def engine(request):
    return request.param


@pytest.fixture
def replicas(tmp_path, engine):
    replicas = Replicas(tmp_path, engine)
    with replicas.stack:
        yield replicas


def test_the_slots_of_an_environment_are_shared(replicas):
    replies = replicas.run(6)
    assert {reply.status for reply in replies} == {200}, [reply.text() for reply in replies]
    assert not replicas.refused(), "more commands ran than there are slots"
    fleet = replicas.status(replicas.gateways[0])
    assert fleet["trouble"] is None
    gateway = replicas.gateways[0]
    assert gateway.metric("mwaa_gateway_fleet_call_duration_seconds_count", operation="write") > 0


def test_a_browser_sees_who_holds_the_slots(browser, tmp_path):
    replicas = Replicas(tmp_path, Redis)
    with replicas.stack, ThreadPoolExecutor() as pool:
        watching, other, *_ = replicas.gateways
        assert watching.cli("version").status == 200
        tab = Tab(browser, "fleet")
        port = watching.url.rsplit(":", 1)[1]
        tab.page.goto(f"http://localhost:{port}/-/")
        tab.page.locator("#live.on").wait_for()

        # the page updates itself while another gateway runs commands
        running = pool.submit(replicas.run, 10, [other])
        holder = replicas.status(other)["replica"]
        part = tab.page.locator("#fleet")
        part.locator("td code", has_text=holder).first.wait_for()
        assert {reply.status for reply in running.result()} == {200}
        part.locator("td", has_text="none").wait_for()
        own = replicas.status(watching)["replica"]
        assert part.locator("p code").first.inner_text() == own, part.inner_text()
        tab.shot("end")
        tab.close()


def test_one_mint_and_one_login_serve_the_fleet(replicas):
    replicas.run(1)
    paths = [f"{gateway.url}/api/v1/dags" for gateway in replicas.gateways]
    with ThreadPoolExecutor(len(paths)) as pool:
        replies = list(pool.map(curl, paths))
    assert {reply.status for reply in replies} == {200}, [reply.text() for reply in replies]
    calls = [one["operation"] for one in replicas.journal() if one["kind"] == "aws"]
    assert calls.count("CreateCliToken") == 1, calls
    assert calls.count("CreateWebLoginToken") == 1, calls
    web = [one["target"] for one in replicas.journal() if one["kind"] == "web"]
    assert web.count("/aws_mwaa/login") == 1, web
    saved = [
        gateway.metric("mwaa_gateway_mints_total", outcome="shared")
        for gateway in replicas.gateways
    ]
    assert sum(saved) == len(replicas.gateways) - 1


def test_a_token_that_is_refused_is_replaced_once(replicas):
    replicas.run(1)
    curl(f"{replicas.control}/tokens", options=["--request", "DELETE"])
    assert {reply.status for reply in replicas.run(1)} == {200}
    calls = [one["operation"] for one in replicas.journal() if one["kind"] == "aws"]
    assert calls.count("CreateCliToken") == 2, calls


def test_the_store_holds_nothing_in_clear(replicas):
    replicas.run(2)
    curl(f"{replicas.gateways[0].url}/api/v1/dags")
    records = replicas.store.records()
    dump = b"".join(records)
    # members, slots, token, session, state
    assert len(records) == dump.count(b"mwaa-gateway:") == 5, dump
    name = next(iter(replicas.emulator.names.values())).encode()
    for clear in (name, b"leases", b"members", b"canary", b"session=", b"Bearer", b"eyJ", b"amazonaws"):
        assert clear not in dump, clear


def test_a_store_that_is_gone_stops_no_command(replicas):
    replicas.run(1)
    replicas.kill_store()
    # one at a time, because each replica has one slot of its own, and the emulator has two
    for gateway in replicas.gateways:
        reply = gateway.cli("dags list")
        assert reply.status == 200, reply.text()
    gateway = replicas.gateways[0]
    assert replicas.status(gateway)["trouble"]
    replicas.restart_store()
    replicas.wait_until_back()
    assert {reply.status for reply in replicas.run(2)} == {200}


def test_a_store_that_hangs_stops_no_command(replicas):
    replicas.run(1)
    replicas.store.signal(signal.SIGSTOP)
    try:
        for gateway in replicas.gateways:
            reply = gateway.cli("dags list")
            assert reply.status == 200, reply.text()
    finally:
        replicas.store.signal(signal.SIGCONT)
    replicas.wait_until_back()
    assert {reply.status for reply in replicas.run(2)} == {200}


def test_an_empty_store_is_filled_again(replicas):
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(replicas.run, 4)
        for _ in range(3):
            replicas.store.empty()
        replies = running.result()
    assert {reply.status for reply in replies} == {200}, [reply.text() for reply in replies]
    assert not replicas.refused(), "more commands ran than there are slots"


def test_a_replica_that_stops_gives_its_slots_back(replicas):
    gateway = replicas.gateways[0]
    replicas.run(2, [gateway])
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() in (0, 143)
    left = replicas.gateways[1]
    # at once, and not when the leases have expired
    assert {reply.status for reply in replicas.run(3, [left])} == {200}
    eventually(lambda: replicas.status(left)["slots"][0]["held_by"] == [], "no slot is held")


def test_the_command_of_a_replica_that_was_killed_keeps_its_slot(replicas):
    # the emulator runs it to its end, as MWAA does
    faults = f"{replicas.control}/faults/command"
    slow = json.dumps({"kind": "Slow:6s", "times": 1})
    curl(faults, data=slow, options=["--request", "PUT"])
    doomed, left, *_ = replicas.gateways
    name = replicas.status(doomed)["replica"]
    with ThreadPoolExecutor(2) as pool:
        lost = pool.submit(doomed.cli, "version")
        eventually(lambda: any(one["kind"] == "web" for one in replicas.journal()), "it is sent")
        doomed.signal(signal.SIGKILL)
        doomed.wait()
        with pytest.raises(AssertionError):  # curl got no response
            lost.result()
        # it waits until the lease has expired, because the fleet has one slot at first
        waiting = pool.submit(left.cli, "dags list")
        eventually(lambda: replicas.status(left)["slots"][0]["held_by"] == [name], "the lease is kept")
        assert waiting.result().status == 200
    assert not replicas.refused(), "more commands ran than there are slots"


def test_a_replica_that_was_paused_holds_up_no_other(replicas):
    replicas.run(1)
    paused, *others = replicas.gateways
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(paused.cli, "dags list") for _ in range(4)]
        paused.signal(signal.SIGSTOP)
        try:
            replies = replicas.run(3, others)
        finally:
            paused.signal(signal.SIGCONT)
        late = [one.result() for one in waiting]
    assert {reply.status for reply in replies} == {200}, [reply.text() for reply in replies]
    # a command that had its slot already when its replica was paused may be too late to be sent
    unsent = [reply for reply in late if reply.status != 200]
    assert all(reply.json()["code"] == "fleet.unavailable" for reply in unsent), [reply.text() for reply in unsent]
    assert len(unsent) <= SLOTS
    assert not replicas.refused(), "more commands ran than there are slots"


def test_a_write_that_something_has_sent_twice_is_one_write(tmp_path):
    replicas = Replicas(tmp_path, lambda home: DynamoDb(home, 0, "twice"), count=2)
    with replicas.stack:
        assert {reply.status for reply in replicas.run(2)} == {200}
        for gateway in replicas.gateways:
            # a replica that believes that it was not written tries again
            eventually(lambda one=gateway: replicas.status(one)["replicas"], "it has announced itself")
            assert gateway.metric("mwaa_gateway_fleet_call_duration_seconds_count", operation="write") < 20


def test_refuse_means_that_no_command_runs_without_the_store(tmp_path, engine):
    replicas = Replicas(tmp_path, engine, on_loss="refuse", count=1)
    with replicas.stack:
        gateway = replicas.gateways[0]
        assert gateway.cli("dags list").status == 200
        ran = len(replicas.journal())
        replicas.kill_store()
        reply = gateway.cli("dags list", accept="application/json")
        assert reply.status == 503
        assert json.loads(reply.body)["code"] == "fleet.unavailable"
        assert int(reply.headers["retry-after"]) > 0
        assert len(replicas.journal()) == ran, "nothing was sent"
        replicas.restart_store()
        eventually(lambda: gateway.cli("dags list").status == 200, "commands run again")


def test_one_replica_asks_for_the_state_while_aws_throttles(tmp_path):
    replicas = Replicas(tmp_path, Redis, "--fault", "GetEnvironment=Throttling")
    with replicas.stack:
        replies = replicas.run(1)
        codes = [json.loads(reply.body)["code"] for reply in replies]
        assert codes == ["aws.throttled"] * REPLICAS
        calls = [one["operation"] for one in replicas.journal() if one["kind"] == "aws"]
        assert calls == ["GetEnvironment"], calls
        shared = [reply for reply in replies if "another gateway of the fleet called" in reply.text()]
        assert len(shared) == REPLICAS - 1
        curl(f"{replicas.control}/faults/GetEnvironment", options=["--request", "DELETE"])
        for gateway in replicas.gateways:
            eventually(lambda one=gateway: one.cli("dags list").status == 200, "it asks again")


def test_a_connection_that_broke_costs_no_call(tmp_path):
    replicas = Replicas(tmp_path, Redis, count=1)
    with replicas.stack:
        gateway = replicas.gateways[0]
        replicas.run(1)
        assert int(replicas.store.ask("CLIENT", "KILL", "TYPE", "normal")) == 1
        assert gateway.cli("dags list").status == 200
        assert replicas.status(gateway)["store_errors"] == 0
