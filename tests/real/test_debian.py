"""The Debian package: built, checked, installed, run and removed, on a copy of this machine."""

import os
import subprocess
import tomllib
from pathlib import Path

import pytest
from machine import Machine
from programs import LAB, ROOT, Program, curl, environment, toml

NAME = "mwaa-gateway"
UNITS = [f"{NAME}.service", f"{NAME}.socket"]

# What lintian may find, and why.
ACCEPTED = {"initial-upload-closes-no-bugs": "the package is not uploaded to Debian"}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package, made of the release build."""
    folder = tmp_path_factory.mktemp("package")
    env = {**os.environ, "PATH": f"{LAB}/cargo-deb/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        [ROOT / "deploy/debian/build", "--fast", "--output", folder / "package.deb"], env=env,
        capture_output=True, text=True, timeout=300, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stderr, done.stderr
    return folder / "package.deb"


def test_lintian_accepts_the_package(package):
    argv = ["lintian", "--allow-root", "--tag-display-limit", "0", package]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    tags = {line.split()[2] for line in done.stdout.splitlines() if line[:2] in ("E:", "W:", "I:")}
    assert tags == set(ACCEPTED), done.stdout + done.stderr


def test_the_package_has_the_version_of_the_program(package):
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    argv = ["dpkg-deb", "--field", package, "Version"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == f"{version}-1\n"
    assert (ROOT / "deploy/debian/changelog").read_text().startswith(f"{NAME} ({version}-1) ")


def test_the_package_is_installed_run_and_removed(package, emulator, tmp_path):
    with Machine(tmp_path) as machine:
        machine.write("/root/package.deb", package.read_bytes())
        machine.run("dpkg", "--install", "/root/package.deb")

        # an administrator names an environment first
        assert not enabled(machine)
        machine.run("systemctl", "enable", *UNITS)
        assert enabled(machine) == UNITS
        units = [f"/usr/lib/systemd/system/{unit}" for unit in UNITS]
        assert machine.run("systemd-analyze", "verify", "--man=no", *units) == ""
        user = f"/usr/lib/systemd/user/{NAME}.service"
        assert machine.run("env", "XDG_RUNTIME_DIR=/run", "systemd-analyze", "verify", "--man=no", "--user", user) == ""

        completions = f"/usr/share/bash-completion/completions/{NAME}"
        assert NAME in machine.run("bash", "-c", f"source {completions} && complete -p {NAME}")
        assert "analytics-prod" in machine.run("cat", f"/etc/{NAME}/config.toml")
        assert machine.exists(f"/usr/share/man/man1/{NAME}-serve.1.gz")
        run(machine, emulator)

        machine.run("dpkg", "--remove", NAME)
        assert machine.exists(f"/etc/{NAME}/config.toml"), "a file that an administrator has changed"
        assert not machine.exists(f"/usr/bin/{NAME}")
        # where the service writes its logs
        machine.write(f"/var/log/private/{NAME}/audit.log", b"a line\n")
        machine.run("dpkg", "--purge", NAME)
        assert [path for path in machine.written() if NAME in path] == []


def enabled(machine):
    """The units of the package that start with the machine."""
    return sorted(Path(path).name for path in machine.written() if ".wants/" in path and NAME in path)


def run(machine, emulator):
    """Runs the installed program with the command of its unit, without the rights of root."""
    machine.write("/usr/local/share/ca.pem", Path(emulator.ca_file).read_bytes())
    config = emulator.config_for_one(ca_file="/usr/local/share/ca.pem")
    addresses = {name: {"address": "127.0.0.1:0"} for name in ("listener", "management")}
    machine.write(f"/etc/{NAME}/config.toml", toml({**config, **addresses}).encode())

    unit = machine.run("cat", f"/usr/lib/systemd/system/{NAME}.service")
    (command,) = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
    env = environment("/nonexistent", **emulator.credentials())
    with Program(machine.inside(*user, *command.split()), env, machine.folder) as gateway:
        url = gateway.line(r"listening on (http://127\.0\.0\.1:\d+)")[1]
        answer = curl(f"{url}/aws_mwaa/cli", ["Content-Type: text/plain", "Accept: text/plain"], "version")
        assert answer.text() == "2.10.3\n"
