"""The two builds: the default one, and the production build without the emulator."""

import subprocess

import pytest
from programs import BINARY, PRODUCTION, Gateway, curl, environment

LIMIT = 17_500_000  # bytes

# what only the emulator and its libraries write into a binary
EMULATOR_ONLY = [b"emulator/src/", b"jsonwebtoken-", b"export AWS_SECRET_ACCESS_KEY="]


def run(tmp_path, *words):
    return subprocess.run(
        [PRODUCTION, *words], env=environment(tmp_path), capture_output=True, text=True,
        timeout=30, check=False,
    )


@pytest.mark.parametrize("binary", [BINARY, PRODUCTION], ids=["default", "production"])
def test_a_build_serves_commands_the_rest_api_and_the_ui(tmp_path, emulator, binary):
    config = emulator.config_for_one()
    with Gateway(tmp_path, config, binary=binary, **emulator.credentials()) as gateway:
        assert gateway.cli("version", "text/plain").text() == "2.10.3\n"
        assert gateway.cli("users list").headers["mwaa-gateway-fault"] == "policy.unsupported_command"
        assert curl(f"{gateway.url}/api/v1/dags").json()["total_entries"] > 0
        assert curl(f"{gateway.url}/home").status == 200


def test_the_production_build_has_no_emulator(tmp_path):
    default, production = BINARY.read_bytes(), PRODUCTION.read_bytes()
    for text in EMULATOR_ONLY:
        assert text in default, "the default build shows that this check can fail"
        assert text not in production
    for command in ("demo", "emulator"):
        done = run(tmp_path, command)
        assert done.returncode == 2
        assert f"unrecognized subcommand '{command}'" in done.stderr
        assert "tip: this build has no emulator" in done.stderr
    shown = run(tmp_path, "--help").stdout
    assert "serve" in shown and "demo" not in shown and "emulator" not in shown


def test_the_production_build_is_small():
    assert PRODUCTION.stat().st_size <= LIMIT
