"""A real Airflow that stays in memory: each command runs in a fork of it, with the arguments,
streams and exit code that it would have as a program of its own.

    warm.py serve SOCKET       answers for ever; printed when ready: `warm`
    warm.py run SOCKET WORD…   runs one command by it, as `airflow WORD…` would
"""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

LIMIT = 120  # seconds for one command


def ask(path, question):
    """One question to the server, and its answer."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(json.dumps(question).encode())
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as reply:
            return json.loads(reply.read())


def run(words):
    """Runs a command in a fork, and says how it ended."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(LIMIT)
            os._exit(call(words))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for stream in (stdout, stderr):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    return {"code": code, "stdout": texts[0], "stderr": texts[1]}


def call(words):
    """`airflow WORD…` up to its exit code, as the interpreter itself would end."""
    import atexit
    import threading

    from airflow.__main__ import main

    sys.argv = ["airflow", *words]
    code = 0
    try:
        try:
            sys.exit(main())
        except SystemExit as ending:
            code = ending.code
            if code is None:
                code = 0
            elif not isinstance(code, int):
                print(code, file=sys.stderr)
                code = 1
        except BaseException:
            code = 1
            sys.excepthook(*sys.exc_info())
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        code = code or 120
    return code & 0xFF


def warm_up():
    """Imports what the commands import."""
    import importlib
    import pkgutil

    from airflow.cli import cli_parser, commands

    cli_parser.get_parser()
    for _, name, _ in pkgutil.walk_packages(commands.__path__, commands.__name__ + "."):
        try:
            importlib.import_module(name)
        except Exception:  # a command of something that is not installed
            pass


def serve(path):
    home = Path(os.environ["AIRFLOW_HOME"])
    database, base = home / "airflow.db", home / "airflow.db.base"
    warm_up()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("warm", flush=True)
        last = None
        while True:
            client = server.accept()[0]
            with client, client.makefile("rb") as reader:
                try:
                    question = json.loads(reader.read())
                except ValueError:  # only a knock
                    continue
                if "run" in question:
                    last = answer = run(question["run"])
                elif question["do"] == "keep":  # this is what `restore` goes back to
                    shutil.copy(database, base)
                    answer = {}
                elif question["do"] == "restore":
                    for log in ("-wal", "-shm", "-journal"):
                        Path(f"{database}{log}").unlink(missing_ok=True)
                    shutil.copy(base, database)
                    answer = {}
                else:
                    answer = last
                client.sendall(json.dumps(answer).encode())


def main():
    mode, path, *words = sys.argv[1:]
    if mode == "serve":
        serve(path)
    outcome = ask(path, {"run": words})
    sys.stdout.write(outcome["stdout"])
    sys.stderr.write(outcome["stderr"])
    sys.exit(outcome["code"])


if __name__ == "__main__":
    main()
