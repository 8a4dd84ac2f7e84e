"""The instructions of a request, as valgrind counts them: unlike times, they repeat on a busy machine.

`instructions.json` has the expected counts of each platform. UPDATE_EXPECTED=1 writes those of this one.
"""

import http.client
import json
import os
import platform
import re
import socket
import statistics
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from programs import HERE, PRODUCTION, Emulator, Gateway

EXPECTED = HERE / "instructions.json"

# One above fails, one below should become the expected one.
TOLERANCE = 0.03

RUNS = 9  # the median is not moved by a run in which a token is renewed
REQUESTS = 200  # of each run

COMMANDS = ["version", "dags list-runs -d example -o json"]
REQUEST_NAMES = ["GET /api/v1/dags", *COMMANDS]

VALGRIND = """#!/bin/sh
exec valgrind --tool=callgrind --callgrind-out-file={folder}/counts --vgdb-prefix={folder}/vgdb {binary} "$@"
"""


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    """The counts of all requests. Everything runs on one core, so that it alternates in the same way."""
    folder = tmp_path_factory.mktemp("instructions")
    runs = [{"dag_id": "example", "run_id": f"scheduled__2026-01-{day:02}", "state": "success"} for day in range(1, 11)]
    (folder / "runs.json").write_text(json.dumps(runs))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        answer = f"--answer=dags list-runs={folder}/runs.json"
        with Emulator(folder, "--dag=example", answer) as emulator:
            return count_all(folder, emulator)
    finally:
        os.sched_setaffinity(0, cores)


def count_all(folder, emulator):
    script = folder / "counted"
    script.write_text(VALGRIND.format(folder=folder, binary=PRODUCTION))
    script.chmod(0o755)
    config = {**emulator.config_for_one(), "limits": {"threads": 1}}
    with Gateway(folder, config, script, **emulator.credentials()) as gateway:
        found = {name: count(folder, gateway, name) for name in REQUEST_NAMES}
    if os.environ.get("UPDATE_EXPECTED"):
        expected = json.loads(EXPECTED.read_text()) | {this_platform(): found}
        EXPECTED.write_text(json.dumps(expected, indent=2, sort_keys=True) + "\n")
    return found


def count(folder, gateway, name):
    """The median of the runs. The first requests, which get tokens and connections, do not count."""
    address = urlsplit(gateway.url)
    if name in COMMANDS:
        line = "POST /aws_mwaa/cli"
        rest = f"Content-Type: text/plain\r\nContent-Length: {len(name)}\r\n\r\n{name}"
    else:
        line, rest = name, "\r\n"
    request = f"{line} HTTP/1.1\r\nHost: {address.netloc}\r\n{rest}".encode()
    totals = []
    with socket.create_connection((address.hostname, address.port), 120) as connection:
        for _ in range(RUNS + 1):
            for _ in range(REQUESTS):
                send(connection, request)
            totals.append(take(folder, gateway))
    return round(statistics.median(totals[1:]) / REQUESTS)


def send(connection, request):
    """Sends a request in one piece, so that the gateway always reads it in one piece."""
    connection.sendall(request)
    with http.client.HTTPResponse(connection) as reply:
        reply.begin()
        content = reply.read()
        assert reply.status == 200, content


def take(folder, gateway):
    """The instructions since the last call."""
    argv = ["vgdb", f"--vgdb-prefix={folder}/vgdb", f"--pid={gateway.process.pid}", "dump"]
    subprocess.run(argv, check=True, capture_output=True)
    files = list(folder.glob("counts.*"))
    total = sum(int(re.search(r"^totals: (\d+)", file.read_text(), re.M)[1]) for file in files)
    for file in files:
        file.unlink()
    assert total > 0
    return total


def this_platform():
    """What the counts depend on besides the compiler: the C library, and whether it has AVX2 for its
    copies. valgrind knows no later extension, and makes all x86-64 processors with AVX2 equal."""
    flags = re.findall(r"^flags.*\bavx2\b", Path("/proc/cpuinfo").read_text(), re.M)
    extension = " with AVX2" if flags else ""
    return f"{platform.machine()}{extension}, {' '.join(platform.libc_ver())}"


@pytest.mark.parametrize("name", REQUEST_NAMES)
def test_a_hot_request_costs_no_more_instructions(counts, name):
    expected = json.loads(EXPECTED.read_text()).get(this_platform())
    assert expected, f"{EXPECTED} has no counts for {this_platform()}: UPDATE_EXPECTED=1 adds them"
    change = counts[name] / expected[name] - 1
    said = f"{name}: {counts[name]} instructions, {change:+.1%} of {expected[name]}"
    print(said)
    assert change <= TOLERANCE, f"{said}. If the request does more for a good reason, UPDATE_EXPECTED=1"
    if change < -TOLERANCE:
        print(f"{EXPECTED.name} is too high by now: UPDATE_EXPECTED=1 lowers it")
