"""Large bodies pass through the release binary and never fill its memory."""

import re
import subprocess
from pathlib import Path

import pytest
from programs import Emulator, Gateway

MIB = 1024 * 1024
LARGE = 64 * MIB
MOST = 32 * MIB


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    home = tmp_path_factory.mktemp("streaming")
    with Emulator(home) as emulator:
        config = {**emulator.config_for_one(), "limits": {"request_body": "64MiB"}}
        with Gateway(home, config, **emulator.credentials()) as gateway:
            yield gateway


def peak(gateway):
    """The largest resident set so far, in bytes (proc_pid_status(5))."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)[1]) * 1024


def curl(*arguments):
    argv = ["curl", "--disable", "--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "120"]
    return subprocess.run([*argv, *arguments], capture_output=True, timeout=150, check=True).stdout.decode()


@pytest.mark.parametrize("chunked", ["false", "true"])
def test_64_mib_stream_down(gateway, chunked):
    url = f"{gateway.url}/static/emulator/zeros?bytes={LARGE}&chunked={chunked}"
    told = curl("--output", "/dev/null", "--write-out", "%{http_code} %{size_download} %{speed_download}", url)
    status, size, speed = told.split()
    assert (int(status), int(size)) == (200, LARGE)
    print(f"down (chunked {chunked}): {int(speed) / MIB:.0f} MiB/s, peak {peak(gateway) / MIB:.1f} MiB")
    assert peak(gateway) < MOST


def test_a_slow_reader_does_not_increase_memory(gateway):
    url = f"{gateway.url}/static/emulator/zeros?bytes={LARGE}"
    with subprocess.Popen(
        ["curl", "--disable", "--silent", "--noproxy", "*", "--limit-rate", "1M", "--max-time", "3", url],
        stdout=subprocess.DEVNULL,
    ) as slow:
        slow.wait(timeout=30)
    assert peak(gateway) < MOST
