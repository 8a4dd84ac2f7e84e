"""The real AWS CLI against the emulator, set up as docs/guide/emulator.md says."""

import json
import subprocess

from programs import LAB, environment


def aws(emulator, home, *words):
    env = environment(
        home,
        AWS_DISABLE_HOST_PREFIX_INJECTION="true",
        AWS_ENDPOINT_URL_MWAA=emulator.endpoint,
        AWS_REGION=emulator.region,
        AWS_DEFAULT_REGION=emulator.region,
        **emulator.credentials(),
    )
    argv = [LAB / "clients/bin/python", LAB / "clients/bin/aws", "mwaa", *words]
    return subprocess.run(
        argv, env=env, capture_output=True, encoding="utf-8", timeout=60, check=False
    )


def test_create_cli_token(emulator, tmp_path):
    name = next(iter(emulator.names.values()))
    done = aws(emulator, tmp_path, "create-cli-token", "--name", name)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["CliToken"].count(".") == 2


def test_list_environments_page_by_page(emulator, tmp_path):
    done = aws(emulator, tmp_path, "list-environments", "--page-size", "1")
    assert done.returncode == 0, done.stderr
    assert set(emulator.names.values()) <= set(json.loads(done.stdout)["Environments"])


def test_an_unknown_name(emulator, tmp_path):
    done = aws(emulator, tmp_path, "create-cli-token", "--name", "nosuch")
    assert done.returncode != 0
    assert "(ResourceNotFoundException)" in done.stderr
