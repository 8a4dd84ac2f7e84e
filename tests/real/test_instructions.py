"""The instructions and allocations of a request, as valgrind counts them: unlike times, they repeat on a
busy machine.

`instructions.json` has the expected instructions of each platform. UPDATE_EXPECTED=1 writes those of this one.
"""

import contextlib
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

# Every allocation of a hot GET. One more fails: name it here, or do without it. The head of the request
# came before, so it is not read again.
ALLOCATIONS = {
    "the context of the request": 1,
    "the checked request": 1,
    "the future of the request, of its exchange within the session, and of the attempt on a connection": 3,
    "TLS: the record of the request, and the data of the response's record": 2,
    "the bytes of the response": 1,
    "the response's head, whose text and fields are in buffers of the thread": 1,
    "the response's body": 1,
}

COMMANDS = ["version", "dags list-runs -d example -o json"]
GET = "GET /api/v1/dags"
REQUEST_NAMES = [GET, *COMMANDS, f"20 × {GET}"]  # the last one is on 20 connections at once

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
        counted = {name: instructions for name, (instructions, _) in found.items()}
        expected = json.loads(EXPECTED.read_text()) | {this_platform(): counted}
        EXPECTED.write_text(json.dumps(expected, indent=2, sort_keys=True) + "\n")
    return found


def count(folder, gateway, name):
    """The instructions and the allocations: medians of the runs. The first requests, which get tokens and
    connections, do not count."""
    address = urlsplit(gateway.url)
    number, _, name = name.rpartition(" × ")
    if name in COMMANDS:
        line = "POST /aws_mwaa/cli"
        rest = f"Content-Type: text/plain\r\nContent-Length: {len(name)}\r\n\r\n{name}"
    else:
        line, rest = name, "\r\n"
    request = f"{line} HTTP/1.1\r\nHost: {address.netloc}\r\n{rest}".encode()
    totals = []
    with contextlib.ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection((address.hostname, address.port), 120))
            for _ in range(int(number or 1))
        ]
        for _ in range(RUNS + 1):
            for _ in range(REQUESTS // len(connections)):
                send(connections, request)
            totals.append(take(folder, gateway))
    return [round(statistics.median(column) / REQUESTS) for column in zip(*totals[1:])]


def send(connections, request):
    """Sends a request on each connection, in one piece, so that the gateway always reads it in one piece."""
    for connection in connections:
        connection.sendall(request)
    for connection in connections:
        with http.client.HTTPResponse(connection) as reply:
            reply.begin()
            content = reply.read()
            assert reply.status == 200, content


def take(folder, gateway):
    """The instructions and the allocations since the last call."""
    argv = ["vgdb", f"--vgdb-prefix={folder}/vgdb", f"--pid={gateway.process.pid}", "dump"]
    subprocess.run(argv, check=True, capture_output=True)
    files = list(folder.glob("counts.*"))
    dumps = [file.read_text() for file in files]
    for file in files:
        file.unlink()
    total = sum(int(re.search(r"^totals: (\d+)", dump, re.M)[1]) for dump in dumps)
    assert total > 0
    return total, sum(map(count_allocations, dumps))


def count_allocations(dump):
    """The calls of the C library's allocator. The dump contains each name once, later only its number."""
    names = dict(re.findall(r"^c?fn=(\(\d+\)) (.+)$", dump, re.M))
    calls = re.findall(r"^cfn=(\(\d+\)).*\ncalls=(\d+)", dump, re.M)
    assert "malloc" in names.values()
    allocators = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign"}
    return sum(int(count) for name, count in calls if names[name] in allocators)


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
    instructions, _ = counts[name]
    change = instructions / expected[name] - 1
    said = f"{name}: {instructions} instructions, {change:+.1%} of {expected[name]}"
    print(said)
    assert change <= TOLERANCE, f"{said}. If the request does more for a good reason, UPDATE_EXPECTED=1"
    if change < -TOLERANCE:
        print(f"{EXPECTED.name} is too high by now: UPDATE_EXPECTED=1 lowers it")


def test_every_allocation_of_a_hot_get_has_a_name(counts):
    _, allocations = counts[GET]
    assert allocations == sum(ALLOCATIONS.values())
