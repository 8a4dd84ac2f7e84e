"""A network of its own for some programs: a namespace with a loopback of its own, where port 443
is free, and names that only some of the programs can resolve."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

from programs import PATIENCE, Program, Reply, environment

# Making a namespace needs root; tests/run needs it too, for Debian's packages.
ROOT = [] if os.geteuid() == 0 else ["sudo", "-n", "--preserve-env"]


class Network:
    """The namespace. `hosts` are lines for /etc/hosts that programs with `names` see."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.hosts = self.folder / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        # a server that drops its rights needs a user of its own
        passwd = self.folder / "passwd"
        passwd.write_text(Path("/etc/passwd").read_text() + "sshd:x:65533:65534::/run/sshd:/bin/false\n")
        script = (
            "ip link set lo up"
            # what is sent there is lost: no answer, and no error either
            " && ip link add dead type veth peer name nobody"
            " && ip link set dead up && ip link set nobody up"
            " && ip addr add 192.0.2.1/24 dev dead"
            " && ip -6 addr add 2001:db8::1/64 dev dead nodad"
            " && ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev dead nud permanent"
            " && ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev dead nud permanent"
            f" && mount --bind {self.hosts} /etc/hosts && mount --bind {passwd} /etc/passwd"
            " && mount -t tmpfs tmpfs /run && mkdir /run/sshd && echo ready && exec sleep infinity"
        )
        argv = [*ROOT, "unshare", "--net", "--mount", "sh", "-c", script]
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

    def name(self, *lines):
        """Gives names to addresses, in the form of /etc/hosts."""
        self.hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))

    def inside(self, *argv, names=True):
        """The arguments that run a program within this network."""
        enter = [*ROOT, "nsenter", f"--target={self.pid}", "--net"]
        return [*enter, *(["--mount"] if names else []), "--", *argv]

    def start(self, *argv, names=True, **more):
        return Program(self.inside(*argv, names=names), environment(self.folder, **more), self.folder)

    def run(self, *argv, names=True, **more):
        return subprocess.run(
            self.inside(*argv, names=names), env=environment(self.folder, **more), cwd=self.folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False,
        )

    def curl(self, *argv):
        """A request from a client in here."""
        done = self.run("curl", "--disable", "--silent", "--show-error", "--include", "--noproxy", "*",
                        "--max-time", "120", *argv)
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.partition("\n\n")
        first, *fields = head.splitlines()
        found = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
        return Reply(int(first.split()[1]), found, body.encode())

    def waits_for(self, port):
        """Waits until a program listens on a port within this network."""
        probe = f"until exec 3<>/dev/tcp/127.0.0.1/{port}; do sleep 0.02; done 2>/dev/null"
        done = self.run("timeout", str(PATIENCE), "bash", "-c", probe)
        assert done.returncode == 0, f"nobody listens on port {port}"


def innermost(pid):
    """sudo starts what it runs as a child."""
    while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        pid = int(children[0])
    return pid


def tls_front(argv):
    """A port that speaks TLS and passes what comes to a plain one: a program of its own, to be run
    within a network. Arguments: [address:]port to listen on, port to pass to, certificate, key."""
    address, _, listen = argv[0].rpartition(":")
    target = int(argv[1])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(argv[2], argv[3])
    # prints the host that a client asks for, so that a test can see which connections came this way
    context.sni_callback = lambda _socket, name, _context: print(f"connection for {name}", flush=True)
    listener = socket.create_server((address or "127.0.0.1", int(listen)))
    print(f"listening on {listener.getsockname()[1]}", flush=True)

    def pass_on(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def serve(plain):
        try:
            near = context.wrap_socket(plain, server_side=True)
            far = socket.create_connection(("127.0.0.1", target))
        except OSError:
            return
        threading.Thread(target=pass_on, args=(far, near), daemon=True).start()
        pass_on(near, far)

    while True:
        plain = listener.accept()[0]
        threading.Thread(target=serve, args=(plain,), daemon=True).start()


if __name__ == "__main__":
    tls_front(sys.argv[1:])
