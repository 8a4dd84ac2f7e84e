"""Writes `src/policy/tables/options.csv`: the options of every command, as Airflow's own parsers have them.

    AIRFLOW_PYTHON airflow_options.py describe > VERSION.json
        what the parser of the Airflow that this Python has takes
    python3 airflow_options.py merge VERSION.json... > src/policy/tables/options.csv
        the table, from descriptions of all releases that MWAA has offered

`describe` also holds the parser against what `src/policy/options/mod.rs` takes for granted, and fails
where it does not hold. Several files of one version (with other executors, say) are one release.
Needs nothing but the Airflow itself and runs on every Python that one of them runs on.
"""

import argparse
import csv
import json
import os
import sys


def build_parser():
    """The parser of the command line, whatever Airflow this is."""
    try:
        from airflow.cli import cli_parser
    except ImportError:  # 1.10
        from airflow.bin.cli import CLIFactory

        return CLIFactory.get_parser()
    # with dag_parser=True only what tasks run by, else everything
    return cli_parser.get_parser()


def commands(parser, words=()):
    """Each command's words and its parser."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield words, parser
    for group in groups:
        assert len(parser._actions) == 2, "%s: a group takes options of its own" % (words,)
        for name, sub in group.choices.items():
            for found in commands(sub, words + (name,)):
                yield found


def describe(parser):
    """Positional arguments and options of one command."""
    assert parser.prefix_chars == "-", parser.prog
    assert getattr(parser, "allow_abbrev", True), parser.prog
    assert parser.fromfile_prefix_chars is None, parser.prog
    assert not parser._mutually_exclusive_groups, parser.prog
    assert not parser._has_negative_number_optionals, parser.prog
    helps = [a for a in parser._actions if isinstance(a, argparse._HelpAction)]
    assert [sorted(a.option_strings) for a in helps] == [["--help", "-h"]], parser.prog
    arguments = []
    for action in parser._actions:
        if action not in helps:
            assert action.nargs not in (argparse.PARSER, argparse.REMAINDER), parser.prog
            arguments.append(
                {
                    "spellings": in_order(action.option_strings) or [action.dest.upper()],
                    "takes": takes(action),
                    "required": bool(action.required),
                }
            )
    return arguments


def in_order(spellings):
    """The longest last: it is the option's name, unless it is the `--no-` of another."""

    def negates(spelling):
        return spelling.startswith("--no-") and "--" + spelling[5:] in spellings

    return sorted(spellings, key=lambda s: (not negates(s), len(s), s))


def takes(action):
    """How many values an argument takes: `flag` none, `value` one, `optional` none or one,
    `several` any other number."""
    if action.nargs is None:
        return "value"
    if action.nargs == 0:
        return "flag"
    return "optional" if action.nargs == "?" else "several"


def describe_all():
    from airflow.version import version

    found = {}
    for words, parser in commands(build_parser()):
        assert 1 <= len(words) <= 2, "%s: only names of one or two words are looked for" % (words,)
        assert not any(word.startswith("-") or " " in word for word in words), words
        found[" ".join(words)] = describe(parser)
    return {"version": version, "python": sys.version.split()[0], "commands": found}


def rows(releases):
    """The rows of the table: an argument that two releases in a row have is one row.

    `releases` is a list of pairs, version and the commands, oldest first.
    """
    open_rows, closed = {}, []
    for version, found in releases:
        seen = set()
        for command, arguments in found.items():
            for place, argument in enumerate(arguments):
                spellings = "/".join(argument["spellings"])
                key = (command, spellings, argument["takes"], argument["required"])
                assert key not in seen, key
                seen.add(key)
                row = open_rows.setdefault(key, {"first": version, "place": place})
                row["last"] = version
        for key in [key for key in open_rows if key not in seen]:
            closed.append((key, open_rows.pop(key)))
    closed.extend(open_rows.items())
    return sorted(closed, key=order)


def order(row):
    """Positional arguments as they stand, then options by name; oldest first."""
    (command, spellings, takes, _required), about = row
    optional = spellings.startswith("-")
    name = spellings.split("/")[-1] if optional else ""
    place = 0 if optional else about["place"]
    return (command, optional, name, place, numbers(about["first"]), takes)


def numbers(version):
    return [int(part) for part in version.split(".")]


def merge(files):
    releases = {}
    for file in files:
        with open(file) as opened:
            described = json.load(opened)
        commands = releases.setdefault(described["version"], {})
        for command, arguments in described["commands"].items():
            assert commands.setdefault(command, arguments) == arguments, (file, command)
    return rows(sorted(releases.items(), key=lambda release: numbers(release[0])))


def write(table, out):
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["command", "argument", "takes", "required", "first", "last"])
    for (command, spellings, takes, required), about in table:
        needed = "required" if required else ""
        writer.writerow([command, spellings, takes, needed, about["first"], about["last"]])


if __name__ == "__main__":
    if sys.argv[1:] == ["describe"]:
        # what an Airflow says while it is imported is not part of the description
        out = os.dup(1)
        os.dup2(2, 1)
        described = json.dumps(describe_all(), indent=1, sort_keys=True)
        with os.fdopen(out, "w") as stdout:
            stdout.write(described + "\n")
    elif len(sys.argv) > 2 and sys.argv[1] == "merge":
        write(merge(sys.argv[2:]), sys.stdout)
    else:
        sys.exit(__doc__)
