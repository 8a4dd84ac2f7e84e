"""A copy of this machine that forgets, with systemd: what is written within it is gone at the end."""

import re
import subprocess
from pathlib import Path

from network import ROOT
from programs import Program, environment, eventually

# The root folder is an overlay on the real one. systemd starts nothing but what a test starts, and can
# neither see the processes of the real machine nor change its kernel or its devices.
BOOT = r"""
set -e
mount -t tmpfs tmpfs "$0"
cd "$0"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
cd root
# containers have a policy that keeps packages from starting and stopping services
rm -rf usr/lib/systemd/system/*.wants etc/systemd/system/*.wants usr/sbin/policy-rc.d
printf '[Unit]\nDefaultDependencies=no\n' >etc/systemd/system/tests.target
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for folder in run dev; do mount -t tmpfs tmpfs $folder; done
for device in null zero full random urandom tty; do cp -a /dev/$device dev/; done
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mkdir dev/pts dev/shm run/upper run/real
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
touch dev/console
mount --bind ../upper run/upper
pivot_root . run/real
umount -l run/real
exec env -i container=tests PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=tests.target </dev/null
"""


class Machine:
    """The network is that of the real machine."""

    def __init__(self, folder):
        namespaces = ["--mount", "--pid", "--cgroup", "--ipc", "--uts"]
        argv = [*ROOT, "unshare", *namespaces, "--fork", "--kill-child", "sh", "-c", BOOT, folder]
        self.keeper = Program(argv, environment(folder), folder)
        try:
            pid = eventually(lambda: first_process(self.keeper.process.pid), "a process namespace")
            self.enter = [*ROOT, "nsenter", f"--target={pid}", *namespaces, "--"]
            eventually(lambda: self.succeeds("systemctl", "is-system-running"), "systemd")
        except BaseException:
            self.keeper.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # the first process takes all others with it
        subprocess.run([*self.enter, "kill", "-KILL", "-1"], check=False, stderr=subprocess.DEVNULL)
        self.keeper.stop()

    def run(self, *argv, **more):
        """Runs a program that must succeed, as root. Returns its output."""
        done = subprocess.run(
            [*self.enter, *argv], capture_output=True, text=True, timeout=120, check=False, **more
        )
        assert done.returncode == 0, f"{argv}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def succeeds(self, *argv):
        return subprocess.run([*self.enter, *argv], capture_output=True, check=False).returncode == 0

    def write(self, path, data):
        """Writes a file of the copy."""
        script = 'mkdir -p "$(dirname "$0")" && cat >"$0"'
        subprocess.run([*self.enter, "sh", "-c", script, path], input=data, check=True)

    def written(self):
        """The paths in which the copy differs from the real machine."""
        return self.run("find", "/run/upper", "-mindepth", "1", "-printf", "/%P\\n").splitlines()


def first_process(pid):
    """The process below this one that is the first of its namespace, once there is one."""
    try:
        while not re.search(r"^NSpid:.*\t1$", Path(f"/proc/{pid}/status").read_text(), re.M):
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid
    except (IndexError, FileNotFoundError):
        return None
