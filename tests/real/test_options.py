"""The policy's table of options, and its reading of command lines, against the parsers of real
Airflows."""

import csv
import json
import os
import random
import re
import shlex
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from airflow_options import merge
from airflows import VERSIONS
from programs import AIRFLOW, BINARY, HERE, LAB, ROOT, environment

OPTIONS = ROOT / "src/policy/tables/options.csv"
LINES = int(os.environ.get("MWAA_GATEWAY_TEST_LINES", 5000))
# What comes from providers that the test environments do not have.
ELSEWHERE = {"celery", "kubernetes"}


@pytest.fixture(params=VERSIONS)
def airflow(request, tmp_path):
    """A function that runs a script in one Airflow's Python, and its version."""
    home = tmp_path / "home"
    shutil.copytree(LAB / f"{request.param}-home", home)
    env = environment(home, AIRFLOW_HOME=home, PYTHONDONTWRITEBYTECODE=1)

    def call(*words, **more):
        argv = [AIRFLOW, *words]
        return subprocess.run(argv, env=env, cwd=home, capture_output=True, text=True, **more)

    def run(script, *words, **more):
        done = call("run-python", HERE / script, *words, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.call = call
    return run, VERSIONS[request.param]


def gateway(version, *words, **more):
    """`mwaa-gateway commands` for a version."""
    argv = [BINARY, "commands", "--airflow-version", version, "--output", "json", *words]
    return subprocess.run(argv, capture_output=True, text=True, **more).stdout


def numbers(version):
    return [int(part) for part in version.split(".")]


def release_of(version, rows):
    """The newest release in the table that is no newer."""
    releases = {row[column] for row in rows for column in ("first", "last")}
    return max((r for r in releases if numbers(r) <= numbers(version)), key=numbers)


def test_the_table_equals_airflow_s_parser(airflow, tmp_path):
    run, version = airflow
    file = tmp_path / "described.json"
    file.write_text(run("airflow_options.py", "describe"))
    described = json.loads(file.read_text())
    assert described["version"] == version
    real = {(*key[:3], "required" if key[3] else "") for key, _ in merge([file])}
    with open(OPTIONS) as opened:
        rows = list(csv.DictReader(opened))
    at = numbers(release_of(version, rows))
    table = {
        (row["command"], row["argument"], row["takes"], row["required"])
        for row in rows
        if numbers(row["first"]) <= at <= numbers(row["last"])
        and row["command"].split()[0] not in ELSEWHERE
    }
    assert len(table) > 300
    assert table == real, "airflow_options.py writes the table anew"


# Values, and words that look like options and are none, or the other way round.
VALUES = ["x", "1", "-1", "-1.5", "-", "", "a b", "-x y", "--conf x", "--subdir x", "=", "a=b", "{}", '{"a": "-S"}',
          "2024-01-01", "json", "manual-S", "é", "-é", "--", "--=", "-=x", "-S", "--s", "--no", "-vS", "--verbose=1"]  # fmt: skip
LETTERS = "-=Ssvoxycdetlrf abc19"


def joined(chance, option, value):
    """An option in one of the forms that argparse takes, or nearly."""
    spelling = chance.choice(option["spellings"])
    if spelling.startswith("--") and chance.random() < 0.5:
        spelling = spelling[: chance.randint(3, len(spelling))]
    forms = [[spelling], [spelling, value], [f"{spelling}={value}"], [spelling + value], [f"{spelling} {value}"]]
    weights = [4, 1, 1, 1, 1] if option["takes"] == "flag" else [1, 6, 4, 2, 1]
    return chance.choices(forms, weights)[0]


def clustered(chance, options):
    """Some letters behind one dash."""
    letters = [s[1] for o in options for s in o["spellings"] if re.fullmatch("-[A-Za-z]", s)]
    glued = chance.choices([*letters, "v", "="], k=chance.randint(1, 4))
    return ["-" + "".join(glued) + chance.choice(["", "", "x", "=x", "S"])]


def random_line(chance, commands):
    command = chance.choice(commands)
    positional = [a for a in command["arguments"] if not a["spellings"][0].startswith("-")]
    options = [a for a in command["arguments"] if a["spellings"][0].startswith("-")]
    parts = [[chance.choice(["x", "y", "2024-01-01", "-1"])] for _ in positional]
    for option in options:
        if option["required"] and chance.random() < 0.9:
            parts.append(joined(chance, option, chance.choice(["x", "2024-01-01"])))
    if any("--yes" in o["spellings"] for o in options) and chance.random() < 0.6:
        parts.append(chance.choice([["--yes"], ["-y"], ["--y"], ["--ye"], ["-vy"], ["--yes="]]))
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        kind = chance.random()
        if kind < 0.6 and options:
            parts.append(joined(chance, chance.choice(options), chance.choice(VALUES)))
        elif kind < 0.75:
            parts.append(clustered(chance, options))
        elif kind < 0.85:
            parts.append([chance.choice(VALUES)])
        elif kind < 0.9:
            parts.append([chance.choice(["-h", "--help", "--he", "-hv", "--"])])
        else:
            parts.append(["-" * chance.randint(0, 2) + "".join(chance.choices(LETTERS, k=chance.randint(0, 5)))])
    chance.shuffle(parts)
    words = [*command["command"].split(), *(word for part in parts for word in part)]
    if chance.random() < 0.03:
        at = chance.randrange(len(words))
        words.insert(at, chance.choice(["-v", "--", "--help", "x", ""]))
    return words


def test_allowed_commands_are_parsed_as_by_airflow(airflow):
    run, version = airflow
    rows = json.loads(gateway(version))
    passing = sorted({row["command"].split()[0] for row in rows if row["verdict"] == "supported"})
    found = [row for group in passing for row in json.loads(gateway(version, group))]
    commands = [row for row in found if row["verdict"] == "supported"
                and "Airflow's command is" not in row["note"]]
    assert len(commands) > 30
    chance = random.Random(20261122)
    lines = [random_line(chance, commands) for _ in range(LINES)]
    told = gateway(version, "--try", "-", input="\n".join(map(shlex.join, lines)))
    ours = [json.loads(line) for line in told.splitlines()]
    theirs = [
        json.loads(line)
        for line in run("airflow_reading.py", input="\n".join(map(json.dumps, lines))).splitlines()
    ]
    assert len(ours) == len(theirs) == len(lines)

    counts = dict.fromkeys(["passes", "strict", "relaxed", "options", "forbidden", "questions"], 0)
    for words, our, their in zip(lines, ours, theirs):
        if our["verdict"] == "passes":
            counts["passes"] += 1
            assert shlex.split(our["line"]) == words
            reading = {"command": our["command"], "options": sorted(our["options"])}
            if "--help" in our["options"]:
                reading["options"] = ["--help"]
            for manner in ("strict", "relaxed"):
                if their[manner] and not is_group(their[manner]):
                    counts[manner] += 1
                    assert their[manner] == reading, f"{words}: {manner}"
            counts["options"] += len(our["options"])
        elif our["code"] == "policy.forbidden_option" and their["strict"]:
            # what the parser would run is refused for an option that it is given
            counts["forbidden"] += 1
            option = re.search("cannot be used with (-[-a-zA-Z]+)", our["detail"])[1]
            # the parser stops at `--help` and reads no further
            assert {option, "--help"} & set(their["strict"]["options"]), words
        elif our["code"] == "policy.needs_confirmation" and their["relaxed"]:
            counts["questions"] += 1
            assert "--yes" not in their["relaxed"]["options"], words
    print(version, len(lines), "lines:", counts)
    for kind, least in {"passes": 0.4, "strict": 0.05, "relaxed": 0.3, "forbidden": 0.001, "questions": 0.001}.items():
        assert counts[kind] >= LINES * least, counts


def is_group(reading):
    """Whether no command was reached: a group's own help."""
    return reading["command"] is None


# Commands without and with the answer. None finds anything to change.
QUESTIONS = [
    ("dags delete lab_none", "--yes"),
    ("db clean --clean-before-timestamp 1999-01-01", None),
    ("dags pause lab_.* --treat-dag-id-as-regex", None),
]


def test_an_unanswered_prompt_ends_the_command(airflow):
    run, version = airflow
    asks = [question for question, _ in QUESTIONS]
    answered = [f"{question} {answer}" for question, answer in QUESTIONS if answer]
    lines = asks + answered
    told = gateway(version, "--try", "-", input="\n".join(lines)).splitlines()
    codes = [json.loads(line).get("code") for line in told]
    assert codes == ["policy.needs_confirmation"] * len(asks) + [None] * len(answered)

    def call(line):
        return run.call(*shlex.split(line), stdin=subprocess.DEVNULL)

    with ThreadPoolExecutor() as pool:
        for line, done in zip(lines, pool.map(call, lines)):
            ended_by_it = "EOFError: EOF when reading a line" in done.stderr
            assert ended_by_it == (line in asks), f"{line}: {done.stderr}"
            assert not (ended_by_it and done.returncode == 0), line
