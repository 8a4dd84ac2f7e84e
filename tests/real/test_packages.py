"""What a release has. The Debian package is built, checked, installed, run and removed, on a copy of this
machine; the workflow cannot run here, but its commands can."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from machine import Machine
from programs import LAB, ROOT, curl, eventually, toml

NAME = "mwaa-gateway"
UNITS = [f"{NAME}.service", f"{NAME}.socket"]

VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]

# What lintian may find, and why.
ACCEPTED = {"initial-upload-closes-no-bugs": "the package is not uploaded to Debian"}


WORKFLOWS = ROOT / ".github/workflows"


def jobs(workflow="release"):
    return yaml.safe_load((WORKFLOWS / f"{workflow}.yml").read_text())["jobs"]


def step(command):
    """The only step of the release whose commands have this one."""
    (found,) = [step for job in jobs().values() for step in job["steps"] if command in step.get("run", "")]
    return found


def perform(commands, **more):
    """Runs commands of the workflow as it does. Returns what they say."""
    env = {**os.environ, "PATH": f"{LAB}/cargo-deb/bin:{os.environ['PATH']}", **more}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands], cwd=ROOT, env=env, capture_output=True, text=True,
        timeout=300, check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package, made of the release build."""
    folder = tmp_path_factory.mktemp("package")
    (command,) = [line.strip() for line in step("deploy/package deb")["run"].splitlines() if "deploy/package" in line]
    said = perform(f"{command.replace('target/dist', str(folder))} --fast")
    assert "warning" not in said, said
    (package,) = folder.glob("*.deb")
    return package


def test_lintian_accepts_the_package(package):
    argv = ["lintian", "--allow-root", "--tag-display-limit", "0", package]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    tags = {line.split()[2] for line in done.stdout.splitlines() if line[:2] in ("E:", "W:", "I:")}
    assert tags == set(ACCEPTED), done.stdout + done.stderr


def test_the_package_has_the_version_of_the_program(package):
    argv = ["dpkg-deb", "--field", package, "Version"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == f"{VERSION}-1\n"
    assert (ROOT / "deploy/debian/changelog").read_text().startswith(f"{NAME} ({VERSION}-1) ")


def test_the_package_is_installed_run_and_removed(package, emulator, tmp_path):
    with Machine(tmp_path) as machine:
        machine.write("/root/package.deb", package.read_bytes())
        machine.run("dpkg", "--install", "/root/package.deb")

        completions = f"/usr/share/bash-completion/completions/{NAME}"
        assert NAME in machine.run("bash", "-c", f"source {completions} && complete -p {NAME}")
        assert machine.succeeds("test", "-s", f"/usr/share/man/man1/{NAME}-serve.1.gz")
        assert "analytics-prod" in machine.run("cat", f"/etc/{NAME}/config.toml")
        units = [f"/usr/lib/systemd/system/{unit}" for unit in UNITS]
        assert machine.run("systemd-analyze", "verify", "--man=no", *units) == ""
        user = f"/usr/lib/systemd/user/{NAME}.service"
        assert machine.run("env", "XDG_RUNTIME_DIR=/run", "systemd-analyze", "verify", "--man=no", "--user", user) == ""
        # an administrator names an environment first
        assert not enabled(machine)

        check_service(machine, emulator)
        check_socket(machine)

        machine.run("dpkg", "--remove", NAME)
        for unit in UNITS:
            assert not machine.succeeds("systemctl", "is-active", unit)
        assert not machine.succeeds("test", "-e", f"/usr/bin/{NAME}")
        assert machine.succeeds("test", "-s", f"/etc/{NAME}/config.toml"), "an administrator has changed it"
        machine.run("rm", "-r", *(f"/etc/systemd/system/{unit}.d" for unit in UNITS))
        # where the service writes its logs
        assert machine.succeeds("test", "-s", f"/var/log/{NAME}/audit.log")
        machine.run("dpkg", "--purge", NAME)
        assert [path for path in machine.written() if NAME in path] == []


def enabled(machine):
    """The units of the package that start with the machine."""
    return sorted(Path(path).name for path in machine.written() if ".wants/" in path and NAME in path)


def configure(machine, unit, settings):
    """Adds settings to a unit, as `systemctl edit` does."""
    machine.write(f"/etc/systemd/system/{unit}.d/tests.conf", settings.encode())
    machine.run("systemctl", "daemon-reload")


def shown(machine, name, unit=UNITS[0]):
    return machine.run("systemctl", "show", "--value", f"--property={name}", unit).strip()


def check_service(machine, emulator):
    """The service starts with the machine, and again if it hangs."""
    machine.write("/usr/local/share/ca.pem", Path(emulator.ca_file).read_bytes())
    config = emulator.config_for_one(ca_file="/usr/local/share/ca.pem")
    config |= {name: {"address": "127.0.0.1:0"} for name in ("listener", "management")}
    config["audit"] = {"file": f"/var/log/{NAME}/audit.log"}
    machine.write(f"/etc/{NAME}/config.toml", toml(config).encode())
    variables = "".join(f"Environment={name}={value}\n" for name, value in emulator.credentials().items())
    configure(machine, UNITS[0], f"[Service]\n{variables}WatchdogSec=2\nTimeoutAbortSec=1\nRestartSec=0\n")

    machine.run("systemctl", "enable", "--now", NAME)
    assert enabled(machine) == [UNITS[0]]
    status = shown(machine, "StatusText")
    url = re.match(r"listening on (http://127\.0\.0\.1:\d+); management on http://", status)[1]
    answer = curl(f"{url}/aws_mwaa/cli", ["Content-Type: text/plain", "Accept: text/plain"], "version")
    assert answer.text() == "2.10.3\n"

    process = shown(machine, "MainPID")
    management = re.search(r"management on (http://127\.0\.0\.1:\d+)", status)[1]
    reads = lambda: json.loads(curl(f"{management}/status").text())["configuration"]["reads"]  # noqa: E731
    assert reads() == 1
    config["limits"] = {"queue_size": 7}
    machine.write(f"/etc/{NAME}/config.toml", toml(config).encode())
    machine.run("systemctl", "reload", NAME)
    eventually(lambda: reads() > 1, "the reload")
    eventually(lambda: shown(machine, "ActiveState") == "active", "the end of the reload")
    assert shown(machine, "MainPID") == process

    assert machine.run("stat", "--format=%U", f"/proc/{process}") != "root\n"
    machine.run("kill", "-STOP", process)
    eventually(lambda: shown(machine, "NRestarts") == "1", "the watchdog's restart")
    eventually(lambda: shown(machine, "ActiveState") == "active", "the second start")
    assert shown(machine, "MainPID") != process

    machine.run("systemctl", "disable", "--now", NAME)
    assert [shown(machine, name) for name in ("Result", "ExecMainStatus")] == ["success", "0"]


def check_socket(machine):
    """The service starts with its first client, and with the first one after it has stopped."""
    path = f"/run/{NAME}.sock"
    config = tomllib.loads(machine.run("cat", f"/etc/{NAME}/config.toml"))
    config["listener"]["address"] = f"unix:{path}"
    machine.write(f"/etc/{NAME}/config.toml", toml(config).encode())
    configure(machine, UNITS[1], f"[Socket]\nListenStream=\nListenStream={path}\n")
    machine.run("systemctl", "enable", "--now", UNITS[1])
    assert enabled(machine) == [UNITS[1]]
    for _ in range(2):
        assert shown(machine, "ActiveState") == "inactive"
        argv = ["curl", "--silent", "--unix-socket", path, "http://localhost/aws_mwaa/cli"]
        argv += ["--header", "Content-Type: text/plain", "--header", "Accept: text/plain", "--data", "version"]
        assert machine.run(*argv) == "2.10.3\n"
        assert f"listening on unix:{path};" in shown(machine, "StatusText")
        machine.run("systemctl", "stop", UNITS[0])


def test_the_archive_has_the_program_with_manual_and_completions(tmp_path):
    name = f"{NAME}-of-a-test"
    archive = ROOT / f"target/dist/{name}.tar.gz"
    try:
        perform(step("deploy/package archive")["run"], NAME=name)
        subprocess.run(["tar", "--extract", "--file", archive], cwd=tmp_path, check=True)
    finally:
        archive.unlink(missing_ok=True)
    folder = tmp_path / name
    shown = subprocess.run([folder / NAME, "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"{NAME} {VERSION}\n"
    for file in ["LICENSE", "NOTICE", f"man/{NAME}.1", f"completions/{NAME}.zsh", f"{NAME}.toml"]:
        assert (folder / file).stat().st_size > 0


def test_a_release_needs_the_tag_of_its_version():
    check = step("GITHUB_REF_NAME#v")["run"]
    perform(check, GITHUB_REF_NAME=f"v{VERSION}")
    with pytest.raises(AssertionError):
        perform(check, GITHUB_REF_NAME="v99.0.0")


def test_a_release_is_built_for_all_platforms_and_checksums_cover_it(tmp_path):
    targets = {entry["target"] for entry in jobs()["build"]["strategy"]["matrix"]["include"]}
    cpus, systems = ["x86_64", "aarch64"], ["unknown-linux-gnu", "apple-darwin"]
    assert targets == {f"{cpu}-{system}" for cpu in cpus for system in systems}

    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/program.tar.gz").write_text("a")
    (tmp_path / "mwaa-gateway.cdx.json").write_text("{}")
    checksums = step("sha256sum")["run"]
    perform(f"cd {tmp_path}\n{checksums}\nsha256sum --check --strict SHA256SUMS")
    assert len((tmp_path / "dist/SHA256SUMS").read_text().splitlines()) == 2
    attested = {
        step["uses"].partition("@")[0]: step["with"]["subject-checksums"]
        for step in jobs()["publish"]["steps"] if step.get("uses", "").startswith("actions/attest")
    }
    provenance, materials = "actions/attest-build-provenance", "actions/attest-sbom"
    assert attested == {provenance: "dist/SHA256SUMS", materials: "dist/SHA256SUMS"}


# The permissions of each job beyond reading the source.
RIGHTS = {
    ("book", "publish"): {"pages": "write", "id-token": "write"},
    ("release", "publish"): {"contents": "write", "id-token": "write", "attestations": "write"},
}

# Values that only the workflow itself sets.
SAFE = {f"needs.{job}.result" for job in ("tests", "platforms", "deny")}


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yml")), ids=lambda file: file.stem)
def test_a_workflow_has_few_rights_and_named_versions(file):
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job.get("permissions") == RIGHTS.get((file.stem, name)), name
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+(\.\d+)*|[0-9a-f]{40})", step["uses"]), step
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False, "the token stays out of the folder"
            # a value in the text of a script could be commands
            commands = step.get("run", "")
            assert set(re.findall(r"\${{ *(.*?) *}}", commands)) <= SAFE, step
            subprocess.run(["bash", "-n", "-c", commands], check=True)
