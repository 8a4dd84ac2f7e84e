"""The image of deploy/container, built by buildah from a program that is built already, and run as
an engine runs it (see containers.py)."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
from containers import ARCHITECTURE, FOLDER, Container
from network import Network
from programs import ROOT, Emulator, toml

LIMIT = 19_000_000  # bytes


@pytest.fixture
def network(tmp_path):
    with Network(tmp_path) as network:
        yield network


def files(folder):
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_container_serves_a_command_and_stops(image, network, tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    with Emulator(tmp_path, through=network.inside()) as emulator:
        text = toml(emulator.config_for_one(ca_file="/etc/mwaa-gateway/ca.pem"))
        (config / "config.toml").write_text(text)
        (config / "ca.pem").write_text(Path(emulator.ca_file).read_text())
        mounts = {"/etc/mwaa-gateway": config}
        with Container(image, network, mounts, variables=emulator.credentials()) as container:
            container.line("listening on http://127.0.0.1:8080")
            assert container.status("Uid") == ["65532"] * 4
            assert container.status("Gid") == ["65532"] * 4
            assert container.status("CapEff") == ["0" * 16]

            kind, *words = image.config["Healthcheck"]["Test"]
            assert kind == "CMD", "there is no shell"
            done = container.run(*words)
            assert (done.returncode, done.stderr) == (0, "")

            url, plain = "http://127.0.0.1:8080/aws_mwaa/cli", "-HContent-Type: text/plain"
            reply = network.curl(url, plain, "-HAccept: text/plain", "--data-binary", "version")
            assert (reply.status, reply.text()) == (200, "2.10.3\n")
            done = container.run("/usr/local/bin/mwaa-gateway", "airflow", "--", "version")
            assert (done.returncode, done.stdout) == (0, "2.10.3\n"), done.stderr

            container.signal(signal.SIGTERM)
            assert container.wait() == 0, container.output()


def test_the_health_check_fails_without_a_gateway(image, network, tmp_path):
    """One that is not ready: it has a region and an environment, and no credentials."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "config.toml").write_text(
        '[aws]\nregion = "eu-west-1"\nendpoint_url = "http://127.0.0.1:9"\n[environments.prod]\n'
    )
    with Container(image, network, {"/etc/mwaa-gateway": config}) as container:
        container.line("listening on http://127.0.0.1:8080")
        words = image.config["Healthcheck"]["Test"][1:]
        done = container.run(*words)
        assert done.returncode == 1, done.stderr


def test_the_image_says_how_to_run_it(image):
    assert image.architecture == ARCHITECTURE
    config = image.config
    assert config["User"] == "65532:65532", "a number, for runAsNonRoot"
    assert config["Entrypoint"] == ["/usr/local/bin/mwaa-gateway"]
    assert config["Cmd"] == ["serve"]
    assert config["WorkingDir"] == "/home/nonroot"
    assert "HOME=/home/nonroot" in config["Env"]
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    assert labels["version"] == version
    assert (labels["revision"], labels["licenses"]) == ("tested", "Apache-2.0")


def test_the_image_has_the_program_and_nothing_that_it_does_not_need(image):
    root = image.root()
    found = files(root)
    assert set(found) == {
        "etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/local/bin/mwaa-gateway",
    }  # fmt: skip
    assert b"emulator/src/" not in (root / "usr/local/bin/mwaa-gateway").read_bytes()
    roots = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert roots.count("BEGIN CERTIFICATE") > 100


def test_the_image_is_as_small_as_the_documents_say(image):
    sizes = {"unpacked": sum(files(FOLDER).values()), "compressed": image.compressed()}
    assert sizes["unpacked"] <= LIMIT
    page = (ROOT / "docs/operations/container.md").read_text()
    for name, size in sizes.items():
        said = float(re.search(rf"^\| {name} \| (\d+\.\d) MB \|$", page, re.M)[1])
        assert abs(said * 1e6 - size) < 0.5e6, f"{name}: {size} bytes, and the page says {said} MB"
    readme = (ROOT / "README.md").read_text()
    said = int(re.search(r"container image \((\d+) MB\)", readme)[1])
    assert abs(said * 1e6 - sizes["unpacked"]) < 1e6


def test_the_context_has_what_the_build_reads(image, tmp_path):
    """.dockerignore lets the whole workspace through, and nothing else of the folder."""
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM scratch\nCOPY . /\n")
    image.buildah("bud", "--isolation", "chroot", "--file", dockerfile, "--tag", "context", ".")
    root = image.root("context")
    needed = subprocess.run(
        ["git", "ls-files", "Cargo.*", ".cargo", "src", "emulator", "benches", "deploy/container"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(needed) > 100
    assert [name for name in needed if not (root / name).exists()] == []
    assert not (root / ".git").exists() and not (root / "tests/.lab").exists()
    done = subprocess.run(
        ["cargo", "metadata", "--locked", "--offline", "--format-version", "1", "--no-deps"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
