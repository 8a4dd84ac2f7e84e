"""This machine, in a copy that forgets: what programs write within it is gone at the end."""

import subprocess

from network import ROOT, innermost
from programs import Program, environment


class Machine:
    """A mount namespace in which the root folder is an overlay on the real one. Network and
    processes are shared."""

    def __init__(self, folder):
        self.folder = folder
        script = (
            f"mount -t tmpfs tmpfs {folder} && cd {folder} && mkdir upper work root"
            f" && mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root"
            " && mount --rbind /proc root/proc && mount --rbind /dev root/dev"
            " && mount -t tmpfs tmpfs root/run && echo ready && exec sleep infinity"
        )
        argv = [*ROOT, "unshare", "--mount", "sh", "-c", script]
        self.keeper = Program(argv, environment(folder), folder)
        try:
            self.keeper.line("^ready$")
            self.pid = innermost(self.keeper.process.pid)
        except BaseException:
            self.keeper.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([*ROOT, "kill", str(self.pid)], check=False)
        self.keeper.stop()

    def outside(self, *argv):
        """The words that run a program in the namespace, with the real root folder."""
        return [*ROOT, "nsenter", f"--target={self.pid}", "--mount", "--", *argv]

    def inside(self, *argv):
        """The words that run a program in the copy, as root."""
        return self.outside("chroot", f"{self.folder}/root", *argv)

    def run(self, *argv, **more):
        """Runs a program that must succeed. Returns its output."""
        done = subprocess.run(
            self.inside(*argv), capture_output=True, text=True, timeout=120, check=False, **more
        )
        assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def write(self, path, data):
        """Writes a file of the copy."""
        subprocess.run(
            self.inside("sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', path), input=data, check=True
        )

    def exists(self, path):
        done = subprocess.run(self.inside("test", "-e", path, "-o", "-L", path), check=False)
        return done.returncode == 0

    def written(self):
        """The paths in which the copy differs from the real machine."""
        found = self.outside("find", f"{self.folder}/upper", "-mindepth", "1", "-printf", "/%P\\n")
        return subprocess.run(found, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
