"""The release binary as a process: memory, clock jumps, signals."""

import http.client
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import pytest
from programs import Emulator, Gateway, Relay, curl, eventually

VERSION = "2.10.3"
OFTEN = 500


def config(emulator, **more):
    """One environment with its version configured, so that nothing has to be asked first."""
    return emulator.config_for_one(airflow_version=VERSION, **more)


def works(gateway):
    reply = gateway.cli("version", accept="text/plain")
    assert reply.status == 200, reply.text()
    return reply


class Clock:
    """The wall clock of one child, moved by libfaketime. The monotonic clocks stay true."""

    def __init__(self, folder):
        self.file = folder / "faketime"
        self.set(0)

    def set(self, seconds):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self.file)

    def variables(self):
        assert os.environ.get("LIBFAKETIME"), "LIBFAKETIME does not say where libfaketime.so.1 is"
        return {
            "LD_PRELOAD": os.environ["LIBFAKETIME"],
            "FAKETIME_TIMESTAMP_FILE": self.file,
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


def ahead(gateway):
    """How many seconds the gateway's wall clock is ahead of ours."""
    return parsedate_to_datetime(gateway.date()).timestamp() - time.time()


def jump(gateway, clock, seconds):
    clock.set(seconds)
    # the Date header is updated once a second: wait until it shows the jump
    eventually(lambda: abs(ahead(gateway) - seconds) < 5, f"the clock jumps {seconds:+d} s")


def test_a_clock_that_jumps_ahead_costs_one_mint_and_only_when_it_is_needed(emulator, tmp_path):
    clock = Clock(tmp_path)
    variables = clock.variables() | emulator.credentials()
    with Relay(emulator.endpoint) as relay:
        settings = config(emulator, endpoint=relay.url)
        with Gateway(tmp_path, settings, **variables) as gateway:
            works(gateway)
            works(gateway)
            assert gateway.mints() == 1, "the token was not kept"
            assert abs(ahead(gateway)) < 5
            sent = relay.sent
            jump(gateway, clock, 300)
            assert sent > 0 and (relay.sent, gateway.mints()) == (sent, 1), "a mint that nothing needs"
            works(gateway)
            assert gateway.mints() == 2, "by its wall clock the token was too old"
            works(gateway)
            assert gateway.mints() == 2, "the new token was not kept: its age is not its exp"


def test_a_clock_put_back_does_not_extend_a_token(emulator, tmp_path):
    clock = Clock(tmp_path)
    settings = {**config(emulator), "limits": {"token_use": "1s"}}
    with Gateway(tmp_path, settings, **clock.variables(), **emulator.credentials()) as gateway:
        works(gateway)
        # hyper keeps a Date header until its second is over: nothing has asked for one before
        jump(gateway, clock, -300)

        def is_live():
            status = curl(f"{gateway.management}/status").json()
            return status["environments"][0]["cli_token"]["live"]

        eventually(lambda: not is_live(), "the token's end")
        works(gateway)
        assert gateway.mints() == 2


def test_memory_stays_small_after_use(emulator, tmp_path):
    with Gateway(tmp_path, config(emulator), **emulator.credentials()) as gateway:
        fresh = gateway.memory()
        # four at once, as many as MWAA takes, each on a connection of its own
        with ThreadPoolExecutor(4) as callers:
            served = sum(callers.map(call_often, [gateway] * 4))
        assert served == 4 * OFTEN
        used = gateway.memory()
    print(f"memory: {fresh / 2**20:.1f} MiB fresh, {used / 2**20:.1f} MiB after {served} commands")
    assert used < 20 * 2**20


def call_often(gateway):
    """Sends commands over one kept connection, and counts those that succeeded."""
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=30)
    served = 0
    for _ in range(OFTEN):
        connection.request("POST", "/aws_mwaa/cli", "dags list", {"Content-Type": "text/plain"})
        reply = connection.getresponse()
        reply.read()
        served += reply.status == 200
    connection.close()
    return served


@pytest.fixture
def slow(tmp_path):
    """A gateway with one command in flight, which ends when the test calls `go`."""
    program = tmp_path / "airflow"
    program.write_text(
        "#!/bin/sh\n: >started\n"
        "n=0; while [ ! -e go ] && [ $n -lt 600 ]; do sleep 0.05; n=$((n + 1)); done\n"
        "echo done\n"
    )
    program.write_text(program.read_text().replace("started", f"{tmp_path}/started"))
    program.write_text(program.read_text().replace(" go ", f" {tmp_path}/go "))
    program.chmod(0o755)
    with Emulator(tmp_path, "--airflow-bin", program) as emulator:
        with Gateway(tmp_path, config(emulator), **emulator.credentials()) as gateway:
            replies = []

            def call():
                try:
                    replies.append(gateway.cli("version", accept="text/plain"))
                except AssertionError as cut:
                    replies.append(cut)

            caller = threading.Thread(target=call)
            caller.start()
            eventually((tmp_path / "started").exists, "the command runs")
            yield SimpleNamespace(
                gateway=gateway, caller=caller, replies=replies, go=(tmp_path / "go").touch
            )
            (tmp_path / "go").touch()
            caller.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_commands_finish(slow, number):
    slow.gateway.signal(number)
    # the drain has begun when the listener accepts no more connections, or refuses requests
    eventually(lambda: not takes_new(slow.gateway), "the listener closes")
    assert slow.gateway.running()
    assert not slow.replies
    slow.go()
    slow.caller.join(30)
    assert slow.replies[0].status == 200
    assert slow.replies[0].text() == "done\n"
    assert slow.gateway.wait() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_it_at_once(slow, number, status):
    slow.gateway.signal(number)
    eventually(lambda: not takes_new(slow.gateway), "the listener closes")
    slow.gateway.signal(number)
    assert slow.gateway.wait(5) in {status, -number}
    slow.caller.join(30)
    # cut off, or answered with a fault: the process does not wait for the command
    reply = slow.replies[0]
    assert isinstance(reply, AssertionError) or reply.headers["mwaa-gateway-fault"] == "gateway.interrupted"


def takes_new(gateway):
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=5)
    try:
        connection.request("POST", "/aws_mwaa/cli", "users list", {"Content-Type": "text/plain"})
        return connection.getresponse().status != 503
    except OSError:
        return False
    finally:
        connection.close()
