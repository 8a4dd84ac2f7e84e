"""The task definition of deploy/ecs: held against the model of AWS's API, and its gateway run from it."""

import json
import re
import signal
import subprocess
from pathlib import Path

import botocore.session
import pytest
from botocore.validate import ParamValidator
from containers import Container, Image
from network import Network
from programs import LAB, ROOT, Emulator, environment, toml

TASK = json.loads((ROOT / "deploy/ecs/task-definition.json").read_text())
GATEWAY, APPLICATION = TASK["containerDefinitions"]


def model():
    return botocore.session.get_session().get_service_model("ecs").operation_model("RegisterTaskDefinition")


def check(task):
    return ParamValidator().validate(task, model().input_shape).generate_report()


def unknown(value, shape, place="task"):
    """The fields that the API does not have: botocore's validator lets them pass within structures."""
    if shape.type_name == "structure":
        for name, part in value.items():
            if name not in shape.members:
                yield f"{place}.{name}"
            else:
                yield from unknown(part, shape.members[name], f"{place}.{name}")
    elif shape.type_name == "list":
        for part in value:
            yield from unknown(part, shape.member, place)
    elif shape.type_name == "string" and shape.enum:
        if value not in shape.enum:
            yield f"{place} = {value}"


def test_the_task_definition_is_one_to_aws():
    assert check(TASK) == ""
    assert list(unknown(TASK, model().input_shape)) == []
    wrong = {**TASK, "cpuArchitecture": "ARM64", "runtimePlatform": {"cpuArchitecture": "MIPS"}}
    assert "cpuArchitecture" in check(wrong) and len(list(unknown(wrong, model().input_shape))) == 2


def test_fargate_takes_it():
    """What the model does not say: the rules of Fargate, from its documentation."""
    assert (TASK["requiresCompatibilities"], TASK["networkMode"]) == (["FARGATE"], "awsvpc")
    assert (TASK["cpu"], TASK["memory"]) == ("256", "512"), "a size that Fargate has"
    assert "executionRoleArn" in TASK, "for images of ECR and for awslogs"
    assert APPLICATION["dependsOn"] == [{"containerName": GATEWAY["name"], "condition": "HEALTHY"}]
    assert GATEWAY["stopTimeout"] >= 25 + 5, "limits.drain"
    assert GATEWAY["stopTimeout"] <= 120
    check_of = GATEWAY["healthCheck"]
    assert 5 <= check_of["interval"] <= 300 and 2 <= check_of["timeout"] <= 60


def test_the_aws_cli_reads_it(tmp_path):
    """As far as the request: the endpoint is closed."""
    page = (ROOT / "docs/operations/ecs.md").read_text()
    program, *words = re.search(r"^```sh\n(.*)\n```$", page, re.M)[1].split()
    assert program == "aws" and words[-1].endswith("task-definition.json")
    keys = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_MAX_ATTEMPTS": 1}
    done = subprocess.run(
        [LAB / "clients/bin/aws", *words, "--region", "eu-west-1", "--endpoint-url", "http://127.0.0.1:9"],
        cwd=ROOT, env=environment(tmp_path, **keys), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Could not connect to the endpoint URL" in done.stderr, done.stderr


@pytest.fixture
def image(tmp_path_factory):
    image = Image(tmp_path_factory.mktemp("image"))
    yield image
    image.remove()


def test_the_task_runs(image, tmp_path):
    name = GATEWAY["command"][GATEWAY["command"].index("--environment") + 1]
    kind, *health = GATEWAY["healthCheck"]["command"]
    assert kind == "CMD", "there is no shell"
    config = tmp_path / "config"
    config.mkdir()
    with Network(tmp_path) as network:
        options = ["--airflow-version", f"{name}=2.10.3"]
        with Emulator(tmp_path, *options, through=network.inside()) as emulator:
            table = emulator.config["environments"][name]
            table["ca_file"] = "/etc/mwaa-gateway/ca.pem"
            (config / "config.toml").write_text(toml({**emulator.config, "environments": {name: table}}))
            (config / "ca.pem").write_text(Path(emulator.ca_file).read_text())
            mounts = {"/etc/mwaa-gateway": config}
            with Container(image, network, mounts, GATEWAY["command"], emulator.credentials()) as gateway:
                gateway.line("listening on")
                done = gateway.run(*health)
                assert done.returncode == 0, done.stderr
                done = network.run(*APPLICATION["command"])
                assert done.returncode == 0 and "lab_hello" in done.stdout, done.stdout + done.stderr
                gateway.signal(signal.SIGTERM)
                assert gateway.wait() == 0, gateway.output()
