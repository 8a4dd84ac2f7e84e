"""A shell for the commands of pages and of samples."""

import os
import subprocess

from programs import BINARY, LAB, environment


class Shell:
    """Runs commands in a folder. `mwaa-gateway`, `aws`, `pytest`, and `python3` with boto3 and requests
    are on the PATH."""

    def __init__(self, folder):
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        (self.programs / "mwaa-gateway").symlink_to(BINARY)
        python = LAB / "clients/bin/python3"
        self.add("python3", python)
        self.add("aws", python, LAB / "clients/bin/aws")
        self.add("pytest", python, "-m", "pytest", "-p", "no:cacheprovider")

    def add(self, name, *words):
        """Puts a program on the PATH that runs these words."""
        file = self.programs / name
        quoted = " ".join(f'"{word}"' for word in words)
        file.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
        file.chmod(0o755)

    def run(self, commands, *options, **more):
        """Runs commands in bash. Returns the process that has ended."""
        path = f"{self.programs}:{os.environ['PATH']}"
        env = environment(self.folder, PATH=path, NO_PROXY="*", PYTHONDONTWRITEBYTECODE="1", **more)
        return subprocess.run(
            ["bash", *options, "-c", commands], env=env, cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, encoding="utf-8", timeout=120, check=False,
        )

    def succeed(self, commands, **more):
        """Runs commands that must succeed. Returns what they printed."""
        done = self.run(commands, "-e", "-o", "pipefail", **more)
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout
