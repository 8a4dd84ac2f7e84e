"""What a release has. The Debian package is built, checked, installed, run and removed, on a copy of this
machine; the workflow cannot run here, but its commands can."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from machine import Machine
from programs import LAB, ROOT, Program, curl, environment, toml

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
