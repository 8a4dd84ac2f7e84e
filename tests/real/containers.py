"""The image of deploy/container, built by buildah, and its containers. An engine cannot run
everywhere, so a container is the image's root folder as an engine sets it up: read-only, with the
image's user, variables and command, and with mounts, in a network of its own."""

import json
import os
import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from network import ROOT as AS_ROOT
from network import innermost
from programs import ROOT, Program

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
FOLDER = ROOT / "target/container" / ARCHITECTURE


class Image:
    """The image, built in a storage of its own."""

    def __init__(self, folder):
        program = FOLDER / "usr/local/bin/mwaa-gateway"
        assert program.exists(), f"{program} is missing: .github/check.sh build makes it"
        self.folder = Path(folder)
        self.containers = []
        self.buildah(
            "bud", "--isolation", "chroot", "--format", "docker", "--platform", f"linux/{ARCHITECTURE}",
            "--target", "prebuilt", "--build-arg", "REVISION=tested", "--file", "deploy/container/Dockerfile",
            "--tag", "mwaa-gateway", ".",
        )  # fmt: skip
        described = json.loads(self.buildah("inspect", "--type", "image", "mwaa-gateway"))["Docker"]
        self.architecture = described["architecture"]
        self.config = described["config"]

    def buildah(self, *words):
        storage = ["--root", self.folder / "storage", "--runroot", self.folder / "run"]
        argv = [*AS_ROOT, "buildah", *storage, "--storage-driver", "vfs", *words]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def root(self, image="mwaa-gateway"):
        """A fresh root folder."""
        name = self.buildah("from", image).strip()
        self.containers.append(name)
        return Path(self.buildah("mount", name).strip())

    def compressed(self):
        """The bytes that a registry stores."""
        self.buildah("push", "mwaa-gateway", f"oci-archive:{self.folder}/image.tar")
        return (self.folder / "image.tar").stat().st_size

    def remove(self):
        for name in self.containers:
            self.buildah("rm", name)
        subprocess.run([*AS_ROOT, "rm", "-rf", self.folder / "storage"], check=True)


class Container(Program):
    """A container. `mounts` are folders by their places in it."""

    def __init__(self, image, network, mounts=None, arguments=None, variables=None):
        self.image = image
        own = dict(pair.split("=", 1) for pair in image.config["Env"])
        self.variables = {**own, **(variables or {})}
        root = image.root()
        steps = ["set -e", f"mount --bind {root} {root}", f"mkdir -p {root}/proc"]
        steps.append(f"mount -t proc proc {root}/proc")
        for place, folder in (mounts or {}).items():
            steps += [f"mkdir -p {root}{place}", f"mount --bind {folder} {root}{place}"]
            steps.append(f"mount -o remount,bind,ro {root}{place}")
        steps.append(f"mount -o remount,bind,ro {root}")
        user, group = image.config["User"].split(":")
        words = image.config["Entrypoint"] + (image.config["Cmd"] if arguments is None else arguments)
        enter = ["chroot", f"--userspec={user}:{group}", f"--groups={group}", str(root), *words]
        kept = [f"{name}={value}" for name, value in self.variables.items()]
        # every step takes the place of the one before: the process is the program's own
        steps.append("exec " + shlex.join(["env", "-i", *kept, shutil.which("setpriv"), "--no-new-privs", *enter]))
        argv = network.inside("unshare", "--mount", "sh", "-c", "; ".join(steps))
        super().__init__(argv, {"PATH": os.environ["PATH"]}, network.folder)

    def run(self, *words):
        """Runs a program in the container, as an engine does for a health check."""
        user, group = self.image.config["User"].split(":")
        argv = [
            *AS_ROOT, "nsenter", f"--target={innermost(self.process.pid)}", "--mount", "--net", "--root",
            f"--setuid={user}", f"--setgid={group}", "--", *words,
        ]  # fmt: skip
        return subprocess.run(
            argv, env=self.variables, capture_output=True, text=True, timeout=60, check=False
        )

    def status(self, name):
        """A field of what the kernel says about the process."""
        text = Path(f"/proc/{innermost(self.process.pid)}/status").read_text()
        return re.search(rf"^{name}:\s+(.*)$", text, re.M)[1].split("\t")
