"""`demo`: what it prints for people to paste works as printed."""

import re
import subprocess

from programs import BINARY, Program, environment, eventually


def commands(text):
    """The printed commands: lines that call curl or us, with their continuation lines."""
    joined = re.sub(r"\\\n\s*", " ", text)
    found = (re.match(r"\s*(?:\$ )?((?:curl|mwaa-gateway) .*)$", line) for line in joined.splitlines())
    return [match[1] for match in found if match]


def test_the_three_commands_work(tmp_path):
    path = f"{BINARY.parent}:{environment(tmp_path)['PATH']}"
    env = environment(tmp_path, PATH=path)
    with Program([BINARY, "demo", "--listen", "127.0.0.1:0"], env, tmp_path) as demo:
        eventually(lambda: len(commands(demo.output())) >= 3 or not demo.running(), "three commands")
        printed = commands(demo.output())
        assert len(printed) == 3, demo.output()
        for command in printed:
            done = subprocess.run(
                ["bash", "-c", command], env=env, cwd=tmp_path, stdin=subprocess.DEVNULL,
                capture_output=True, encoding="utf-8", timeout=60, check=False,
            )
            said = f"{command}\n{done.stdout}{done.stderr}"
            assert done.returncode == 0, said
            assert done.stdout.strip(), said
            assert '"code":' not in done.stdout, said
        assert any("dags" in command for command in printed)
        demo.stop()
        assert demo.wait() == 0
