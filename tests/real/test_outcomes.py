"""Whether a command worked, judged through the gateway and held against the exit codes of real
Airflows; and what `-o json` and its like look like when the noise is out."""

import json
import os
import re

import pytest
from outcomes.record import HERE, VERSIONS, cases, exit_texts
from programs import curl

FULL = "application/vnd.mwaa-gateway.cli+json; detail=full"

# All cases take a quarter of an hour; one in so many is run, the others are in the fixtures.
EVERY = 1 if os.environ.get("OUTCOMES") == "all" else 10

# Commands that are not on MWAA's list are refused by the emulator, as by MWAA.
UNLISTED = ("pools ", "dags details", "config ", "users ", "db check", "plugins", "info", "jobs ",
            "connections get", "connections list", "variables import", "connections import",
            "nosuch", "dags nosuch", "providers triggerer")


def quoted(command):
    return " ".join("'" + word + "'" if set(word) & set('{}[]"*') else word
                    for word in command.split(" "))


def ask(airflows, name, command, form="ok", accept=FULL):
    gateway = airflows.gateways[form]
    port = gateway.url.rsplit(":", 1)[1]
    headers = ["Content-Type: text/plain", f"Accept: {accept}"]
    return curl(f"http://127.0.0.1:{port}/aws_mwaa/cli",
                [*headers, f"Host: {name}.localhost:{port}"], quoted(command))


@pytest.mark.parametrize("name", VERSIONS)
def test_the_success_status_equals_the_exit_code(airflows, name):
    airflow = airflows.warm[name]
    judged = failed = 0
    for number, commands in enumerate(cases(airflow.major)):
        if number % EVERY or commands[-1].startswith(UNLISTED):
            continue
        airflow.restore()
        for command in commands[:-1]:
            airflow.run(command)
        reply = ask(airflows, name, commands[-1])
        if "mwaa-gateway-fault" in reply.headers:
            # an option that the gateway knows to be none: nothing was run
            assert reply.headers["mwaa-gateway-fault"].startswith("policy."), reply.text()
            continue
        true = airflow.last()
        told = reply.json()
        assert reply.status == 200, (commands, told)
        assert told["succeeded"] is (true["code"] == 0), (commands, true, told)
        # the program of the emulator can only write what it was given
        assert (told["stdout"], told["stderr"]) == (true["stdout"], true["stderr"])
        judged += 1
        failed += true["code"] != 0
    print(f"{name}: {judged} commands judged, {failed} of them failed")
    assert judged > 150 / EVERY and failed > 50 / EVERY


@pytest.mark.parametrize("name", VERSIONS)
def test_status_400_marks_a_failed_command(airflows, name):
    for command in ("version", "variables get nosuch", "dags trigger nosuch"):
        reply = ask(airflows, name, command, "bad-request")
        code = airflows.warm[name].last()["code"]
        assert reply.status == (200 if code == 0 else 400)
        assert reply.json()["succeeded"] is (code == 0)
        assert reply.json()["reason"] == (None if code == 0 else "status 400")


@pytest.mark.parametrize("name", VERSIONS)
def test_json_is_extracted_from_the_output(airflows, name):
    airflow = airflows.warm[name]
    airflow.restore()
    reply = ask(airflows, name, "dags trigger lab_hello -r once -o json").json()
    (run,) = reply["json"]
    assert (run["dag_id"], run["dag_run_id"]) == ("lab_hello", "once")
    assert json.loads(reply["output"]) == reply["json"]
    bare = ask(airflows, name, "dags list -o json", accept="text/plain; detail=output")
    assert {"lab_hello", "lab_daily"} <= {dag["dag_id"] for dag in json.loads(bare.body)}


@pytest.mark.parametrize("name", VERSIONS)
def test_every_text_that_ends_a_command_is_in_the_table(name):
    """The texts of `SystemExit` in Airflow's source, against src/output/outcomes.csv."""
    with (HERE.parents[2] / "src/output/outcomes.csv").open() as file:
        rows = [line.rstrip("\n").split(",", 5)[5] for line in file][1:]
    others = ("celery", "edge", "kubernetes", "db_command", "db_manager", "team", "internal",
              "webserver", "dag_processor", "triggerer", "scheduler", "api_server", "kerberos",
              "legacy")
    texts = [(str(file), text) for file, text in exit_texts(name)]
    texts = [text for text in texts if not any(word in text[0] for word in others)]
    assert len(texts) > 50
    assert not [text for text in texts if not any(fits(row, text[1]) for row in rows)]


def fits(row, text):
    """Whether a row's pattern covers a text that has patterns of its own."""
    parts = (re.escape(part) for part in row.split("*"))
    return re.fullmatch(".*".join(parts), text.replace("*", "x y"), re.S) is not None
