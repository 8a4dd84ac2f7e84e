"""The guide's page about the emulator: its shell blocks and the steps of its workflow run as they are
printed, with the script that AWS documents, unchanged."""

import re

import pytest
import yaml
from pages import Page

PAGE = Page("emulator.md")
STOP = 'trap \'kill $(jobs -p)\' EXIT\n'


def on_free_ports(commands):
    """The same commands with ports of the system's choice."""
    found, count = re.subn(
        r"--web-host localhost:8443", "--aws 127.0.0.1:0 --web 127.0.0.1:0 --web-host localhost:0", commands
    )
    assert count == 1, commands
    return found.replace("--control 127.0.0.1:4567", "--control 127.0.0.1:0")


@pytest.fixture
def page(shell):
    """A shell with the scripts of the page."""
    for script in PAGE.blocks("python"):
        name = re.match(r"# script: (\S+)\n", script)[1]
        (shell.folder / name).write_text(script)

    def run(commands, **more):
        return shell.run(commands, "-e", "-o", "pipefail", **more)

    return run


def test_the_commands_of_the_page_work(page):
    done = page(STOP + on_free_ports("".join(PAGE.blocks("bash"))))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    # the script runs twice: once as it is, once with a fault
    assert len(re.findall(r"^200$", done.stdout, re.M)) == 2, said
    assert done.stdout.count("lab_hello") >= 2, said
    assert done.stdout.count('"error":"ThrottlingException"') == 2, said


def test_the_workflow_runs_the_script(page, tmp_path):
    (workflow,) = PAGE.blocks("yaml")
    steps = yaml.safe_load(workflow)["jobs"]["test"]["steps"]
    commands = [step["run"] for step in steps if "run" in step and "Install" not in step["name"]]
    assert len(commands) == 2
    variables = tmp_path / "github-env"
    # each step sees what the steps before it wrote into the file, as on a runner
    both = f'{on_free_ports(commands[0])}\nset -a; . "{variables}"; set +a\n{commands[1]}'
    done = page(STOP + both, GITHUB_ENV=variables)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert re.match(r"200\n", done.stdout), said
    assert "lab_hello" in done.stdout, said


def test_every_option_in_the_page_exists(page):
    known = set(re.findall(r"--[a-z-]+", page("mwaa-gateway emulator --help").stdout))
    options = set(re.findall(r"`(--[a-z-]+)", PAGE.text)) - {"--data-binary"}  # curl's
    assert len(options) > 10
    assert options <= known


def test_every_fault_in_the_page_exists(page):
    """The kinds in the tables are those that the emulator lists."""
    commands = STOP + on_free_ports(PAGE.blocks("bash")[0]) + (
        "control=$(sed -n 's/^control //p' emulator.txt)\n"
        "for name in nothing CreateCliToken command; do\n"
        "curl -sS -X PUT $control/faults/$name -d '{\"kind\": \"nothing\"}'; done\n"
    )
    hints = re.findall(r'"hint":"[^"]* are ([^"]*)"', page(commands).stdout)
    assert len(hints) == 3
    table = PAGE.text.split("| NAME |")[1].split("\n\n")[0]
    named = set(re.findall(r"`([A-Za-z0-9:]+)`", table))
    assert {word for hint in hints for word in hint.split(", ")} == named
