"""What real Airflows print and how their commands end, for the judgement of results.

    tests/.lab/clients/bin/python tests/real/outcomes/record.py

writes tests/fixtures/outcomes: every case of cases.txt for each Airflow of the lab, with its exit
code and the ends of what it printed, and emulator/src/world/texts/help-VERSION.txt: the help of
the commands that the emulator simulates. It takes some ten minutes.
"""

import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from programs import AIRFLOW, LAB, Program, environment  # noqa: E402
from warm import ask  # noqa: E402

VERSIONS = {"airflow2": "2.10.5", "airflow306": "3.0.6", "airflow332": "3.3.2"}
FIXTURES = HERE.parent.parent / "fixtures" / "outcomes"
HELP = HERE.parent.parent.parent / "emulator/src/world/texts"

# the groups and commands that the emulator simulates
SIMULATED = """
version
connections;connections add;connections delete
dags;dags list;dags list-runs;dags pause;dags trigger;dags unpause
tasks;tasks list
variables;variables delete;variables get;variables list;variables set
"""

# commands that read the DAG that cannot be imported
BROKEN = re.compile(r"(dags (list|report|reserialize)|tasks list)\b")


def cases(major):
    """The cases of a major version: the commands before, and the command."""
    found = []
    for line in (HERE / "cases.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            majors, commands = line.split("|", 1)
            if str(major) in majors:
                found.append(commands.split(";;"))
    return found


class Warm:
    """One Airflow of the lab, its home a copy, that runs commands quickly."""

    def __init__(self, name, folder, broken=False):
        self.name, self.version = name, VERSIONS[name]
        self.major = int(self.version[0])
        self.home = Path(folder) / name
        shutil.copytree(LAB / f"{name}-home", self.home)
        shutil.copytree(HERE.parent / "dags", self.home / "dags", dirs_exist_ok=True)
        shutil.copytree(HERE / "dags", self.home / "dags", dirs_exist_ok=True)
        if broken:
            (self.home / "dags/lab_broken.py").write_text("import nosuch  # airflow dag\n")
        self.socket = self.home / "warm"
        env = environment(self.home, AIRFLOW_HOME=self.home)
        self.program = Program([AIRFLOW, "run-warm", self.socket], env, self.home)

    def wait(self):
        self.program.line(r"^warm$")
        assert self.run("dags reserialize")["code"] == 0
        ask(self.socket, {"do": "keep"})
        return self

    def run(self, command):
        return ask(self.socket, {"run": command.split(" ")})

    def restore(self):
        """Puts the database back as it was at first."""
        ask(self.socket, {"do": "restore"})

    def last(self):
        """The outcome of the last command, from any caller."""
        return ask(self.socket, {"do": "last"})

    def command(self):
        """A program that runs its command line, for the emulator."""
        file = self.home / "command"
        script = f'exec "{sys.executable}" "{HERE.parent}/warm.py" run "{self.socket}" "$@"'
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    def __enter__(self):
        return self

    def stop(self):
        self.program.stop()

    def __exit__(self, *_):
        self.stop()


def exit_texts(name):
    """The texts with which the commands of an Airflow end the program; `*` for what varies."""

    def text(node):
        match node:
            case ast.Constant():
                return str(node.value)
            case ast.JoinedStr():
                return "".join(map(text, node.values))
            case ast.BinOp():
                return text(node.left) + text(node.right)
            case ast.Call(func=ast.Attribute(attr="format", value=value)):
                return re.sub(r"\{[^}]*\}", "*", text(value))
        return "*"

    package = next((LAB / name / "lib").glob("python3.*")) / "site-packages/airflow"
    fab = package / "providers/fab/auth_manager/cli_commands"
    files = [*(package / "cli").rglob("*.py"), *fab.glob("*.py")]
    files += [package / "utils/cli.py", package / "utils/db_cleanup.py"]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "SystemExit":
                said = "".join(map(text, node.args))
                if said.strip("*") and not said.isdigit():
                    yield file.relative_to(package), said


def without_places(text, airflow):
    """The places of MWAA's image instead of this machine's."""
    site = re.escape(str(LAB / airflow.name)) + r"/lib/python3\.\d+"
    text = re.sub(site, "/usr/local/airflow/.local/lib/python3.11", text)
    text = text.replace(str(LAB / airflow.name), "/usr/local/airflow/.local")
    text = text.replace(str(HERE.parent / "warm.py"), "/usr/local/airflow/.local/bin/airflow")
    text = text.replace(str(airflow.home), "/usr/local/airflow")
    return text.replace(str(LAB / f"{airflow.name}-home"), "/usr/local/airflow")


def ends(text, head, tail):
    """The first and last lines of a long text."""
    lines = text.splitlines(keepends=True)
    lines = [ln if len(ln) < 3000 or ln[0] in "[{" else ln[:3000] + "\n" for ln in lines]
    return "".join(lines if len(lines) <= head + tail else lines[:head] + lines[-tail:])


def record_help(airflow):
    texts = ""
    for command in ["", *re.split(r"[;\n]", SIMULATED.strip())]:
        texts += f"===== {command}\n" + airflow.run(f"{command} --help".strip())["stdout"]
    (HELP / f"help-{airflow.version}.txt").write_text(texts)


def record(name, folder):
    records = []
    for broken in (False, True):
        with Warm(name, Path(folder) / str(broken), broken) as airflow:
            airflow.wait()
            if not broken:
                record_help(airflow)
            for commands in cases(airflow.major):
                if broken and not BROKEN.match(commands[-1]):
                    continue
                airflow.restore()
                for command in commands:
                    outcome = airflow.run(command)
                outcome["stdout"] = ends(without_places(outcome["stdout"], airflow), 4, 8)
                outcome["stderr"] = ends(without_places(outcome["stderr"], airflow), 3, 6)
                records.append({"case": ";;".join(commands), **outcome})
    lines = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    FIXTURES.mkdir(exist_ok=True)
    (FIXTURES / f"{VERSIONS[name]}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        threads = [threading.Thread(target=record, args=(name, folder)) for name in VERSIONS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    subprocess.run(["git", "diff", "--stat", "--", FIXTURES], check=False)
