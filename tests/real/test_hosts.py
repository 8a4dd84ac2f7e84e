"""The files for systemd, launchd and Homebrew, each with the program that would read it, or with what
there is of that outside its own system."""

import os
import plistlib
import re
import subprocess

import pytest
from programs import BINARY, HERE, ROOT, Program, curl, environment, toml

SYSTEMD = ROOT / "deploy/systemd"

# of 10; what is left is the network, which a gateway needs
MOST_EXPOSURE = 2.0


def check_exposure(unit):
    """The exposure that systemd computes for a unit."""
    argv = ["systemd-analyze", "security", "--offline=true", "--no-pager", unit]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])


def test_the_system_unit_is_hardened(tmp_path):
    unit = SYSTEMD / "system/mwaa-gateway.service"
    assert check_exposure(unit) <= MOST_EXPOSURE
    soft = tmp_path / "soft.service"
    soft.write_text(re.sub(r"^(Restrict|Protect|Private|SystemCall|Capability).*\n", "", unit.read_text(), flags=re.M))
    assert check_exposure(soft) > MOST_EXPOSURE


@pytest.fixture
def config(tmp_path, emulator):
    """Writes the configuration of a gateway to the emulator. Returns the file."""

    def write(folder=tmp_path, **more):
        file = folder / "config.toml"
        file.write_text(toml({**emulator.config_for_one(), "management": {"address": "127.0.0.1:0"}, **more}))
        return file

    return write


def version(url, *options):
    answer = curl(f"{url}/aws_mwaa/cli", ["Content-Type: text/plain", "Accept: text/plain"], "version", options)
    return answer.text()


def test_systemd_starts_the_gateway_with_its_first_client(tmp_path, emulator, config):
    """Both sockets are systemd's: one has the address of a listener, the other one its name."""
    main, team = tmp_path / "main.sock", tmp_path / "team.sock"
    file = config(
        listener={"address": f"unix:{main}"}, listeners={"team": {"address": f"unix:{tmp_path}/configured.sock"}}
    )
    argv = ["systemd-socket-activate", f"--listen={main}", f"--listen={team}", "--fdname=any:listeners.team"]
    argv += [f"--setenv={name}={value}" for name, value in environment(tmp_path, **emulator.credentials()).items()]
    with Program([*argv, BINARY, "serve", "--config", file], environment(tmp_path), tmp_path) as service:
        service.line("Listening on .*team.sock")
        assert "listening on unix" not in service.output()
        assert version("http://localhost", "--unix-socket", main) == "2.10.3\n"
        assert version("http://localhost", "--unix-socket", team) == "2.10.3\n"
        assert f"listening on unix:{team}" in service.output()


def test_launchd_runs_the_program_of_the_user(tmp_path, emulator, config):
    plist = plistlib.loads((ROOT / "deploy/launchd/mwaa-gateway.plist").read_bytes())
    assert plist["Label"] == "mwaa-gateway"
    # limits.drain and what follows it
    assert plist["ExitTimeOut"] >= 25 + 5 and plist["Umask"] == 0o077
    assert plist["KeepAlive"] == {"SuccessfulExit": False} and plist["RunAtLoad"]

    for folder in (".cargo/bin", "Library/Logs", ".config/mwaa-gateway"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".cargo/bin/mwaa-gateway").symlink_to(BINARY)
    config(tmp_path / ".config/mwaa-gateway", listener={"address": "127.0.0.1:0"})
    log = tmp_path / "Library/Logs/mwaa-gateway.log"
    log.touch()
    # launchd starts agents in the root folder
    with Program(plist["ProgramArguments"], environment(tmp_path, **emulator.credentials()), "/"):
        with Program(["tail", "--follow", "--lines=+1", log], environment(tmp_path), tmp_path) as tail:
            url = tail.line(r"listening on (http://\S+)")[1]
        assert version(url) == "2.10.3\n"


def test_the_formula_installs_and_tests_the_program(tmp_path):
    """With a Homebrew of forty lines: Homebrew itself cannot be had here."""
    formula = ROOT / "deploy/homebrew/mwaa-gateway.rb"
    env = {**os.environ, "RUBYOPT": "-w"}
    done = subprocess.run(
        ["ruby", HERE / "formula.rb", formula, BINARY], cwd=tmp_path, env=env, capture_output=True, text=True,
        timeout=60, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert (tmp_path / "man1/mwaa-gateway-serve.1").exists()
    for shell in ("bash", "zsh", "fish"):
        assert "mwaa-gateway" in (tmp_path / shell).read_text()
