"""What Airflow's own parser makes of command lines: runs in an Airflow's Python.

Takes lines of JSON, each a list of words, and answers each with a line of JSON:
    strict   what the parser takes it for, or null if it refuses the line
    relaxed  the same where every value is good, nothing is required and what is unknown is
             left over: then only what is no option at all makes a difference
Both are the command's words and the names of the options that are given.
"""

import json
import os
import sys

from airflow_options import build_parser, commands, in_order


class Refused(Exception):
    """Instead of the usage text and the end of the process."""


class Journal:
    """What the parser does, as it does it."""

    def __init__(self):
        self.parser = build_parser()
        self.command = None
        self.options = set()
        self.leaves = list(commands(self.parser))
        for words, leaf in self.leaves:
            self.watch(" ".join(words), leaf)
        for kind in {type(leaf) for _, leaf in self.leaves} | {type(self.parser)}:
            kind.error = refuse
            kind.exit = refuse
            kind.print_help = lambda *_: None

    def watch(self, command, leaf):
        parse = leaf.parse_known_args

        def parse_known_args(args=None, namespace=None):
            self.command = command
            return parse(args, namespace)

        leaf.parse_known_args = parse_known_args
        for action in leaf._actions:
            if action.option_strings:
                self.record(action)

    def record(self, action):
        name = in_order(action.option_strings)[-1]
        kind = type(action)

        def call(*args, **kwargs):
            self.options.add(name)
            return kind.__call__(action, *args[1:], **kwargs)

        action.__class__ = type(kind.__name__, (kind,), {"__call__": call})

    def relax(self):
        for _, leaf in self.leaves:
            for action in leaf._actions:
                action.type = action.choices = None
                action.required = False
                if not action.option_strings:
                    action.nargs = "*"

    def read(self, words, known_only):
        self.command, self.options = None, set()
        parse = self.parser.parse_args if known_only else self.parser.parse_known_args
        try:
            parse(words)
        except Refused:
            # the help is asked for: it ends here, before anything runs
            if "--help" not in self.options:
                return None
            self.options = {"--help"}
        except ValueError:  # Python 3.11 stumbles over `--conf=--`
            return None
        return {"command": self.command, "options": sorted(self.options)}


def refuse(*_):
    raise Refused


def main():
    # what an Airflow says while it is imported is no answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    lines = [json.loads(line) for line in sys.stdin]
    journal = Journal()
    strict = [journal.read(words, True) for words in lines]
    journal.relax()
    relaxed = [journal.read(words, False) for words in lines]
    with answers:
        for pair in zip(strict, relaxed):
            answers.write(json.dumps(dict(zip(("strict", "relaxed"), pair))) + "\n")


if __name__ == "__main__":
    main()
