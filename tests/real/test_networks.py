"""The ways out with the programs that people use for them: microsocks, tinyproxy, OpenSSH; and
addresses that are dead. The gateway itself can resolve no name of MWAA here unless a test says so."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from network import ROOT, Network
from programs import BINARY, HERE, LAB, environment, eventually, toml

SOCKS, SOCKS_USER, CONNECT, CONNECT_TLS, AWS_TLS, SSH = 1080, 1081, 3128, 3129, 8443, 2222
LISTEN, MANAGEMENT = 8080, 9180
PASSWORD = "s3cret-of-the-proxy"
AWS = "aws.test"
SSHD = LAB / "sshd/usr/sbin/sshd"  # not installed: that would open this machine to logins


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An MWAA on port 443, two SOCKS proxies, an HTTP proxy with and without TLS, and a bastion."""
    folder = tmp_path_factory.mktemp("network")
    programs = []
    with Network(folder) as network:
        try:
            yield build(network, folder, programs)
        finally:
            for program in reversed(programs):
                program.stop()


def build(network, folder, programs):
    def start(*argv, **more):
        programs.append(network.start(*argv, **more))
        return programs[-1]

    emulator = start(BINARY, "emulator", "--aws", "127.0.0.1:4566", "--web", "127.0.0.1:443")
    emulator.line("^# --- end")
    said = emulator.output()
    read = lambda pattern: re.search(pattern, said, re.M)[1]  # noqa: E731
    keys = {name: read(rf"^export {name}=(\S+)") for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    ca_file = read(r"^CA file: (\S+)")
    host = host_of(network, folder, keys, ca_file)
    network.name(f"127.0.0.1 {host} {AWS} proxy.test")

    certificate(folder, [AWS, "proxy.test"])
    start("microsocks", "-i", "127.0.0.1", "-p", str(SOCKS))
    start("microsocks", "-i", "127.0.0.1", "-p", str(SOCKS_USER), "-u", "me", "-P", PASSWORD)
    (folder / "tinyproxy.conf").write_text(
        f"Port {CONNECT}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nBasicAuth me {PASSWORD}\n"
        "ConnectPort 443\n"
        f"ConnectPort {AWS_TLS}\n"
    )
    proxy = start("tinyproxy", "-d", "-c", str(folder / "tinyproxy.conf"))
    pem = [str(folder / "tls.pem"), str(folder / "tls.key")]
    front = [sys.executable, str(HERE / "network.py")]
    proxy_tls = start(*front, str(CONNECT_TLS), str(CONNECT), *pem)
    aws_tls = start(*front, str(AWS_TLS), "4566", *pem)
    start(*front, "127.0.0.3:443", "4566", *pem)
    bastion(folder)
    sshd = start(str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config"))
    for port in (SOCKS, SOCKS_USER, CONNECT, CONNECT_TLS, AWS_TLS, SSH):
        network.waits_for(port)
    return SimpleNamespace(
        network=network, folder=folder, keys=keys, ca_file=ca_file, host=host, emulator=emulator,
        proxy=proxy, proxy_tls=proxy_tls, aws_tls=aws_tls, sshd=sshd,
    )  # fmt: skip


def host_of(network, folder, keys, ca_file):
    """The web server's name, from AWS's own answer."""
    config = folder / "ask.toml"
    config.write_text(toml(configured(ca_file)))
    done = network.run(str(BINARY), "check", "--config", str(config), **keys)
    return re.search(r"a CLI token for (\S+)", done.stdout)[1]


def certificate(folder, names):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-keyout", folder / "tls.key", "-out", folder / "tls.pem", "-subj", "/CN=test",
         "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names),
         "-addext", "basicConstraints=critical,CA:FALSE"],
        check=True, capture_output=True,
    )  # fmt: skip


def bastion(folder):
    for name in ("host_key", "user_key", "stranger_key"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    (folder / "sshd_config").write_text(
        f"Port {SSH}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user_key.pub\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
    )


def ssh(world, *options, key="user_key"):
    """The words of a tunnel over the bastion."""
    return [
        "ssh", "-F", "none", *options, "-p", str(SSH), "-i", str(world.folder / key), "-o", "IdentitiesOnly=yes",
        "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
        "-o", "LogLevel=ERROR", "root@127.0.0.1",
    ]  # fmt: skip


def configured(ca_file, **keys):
    own = {"name": "demo", "ca_file": ca_file, "default": True, "airflow_version": "2.10.3", **keys}
    return {
        "aws": {"region": "eu-west-1", "endpoint_url": "http://127.0.0.1:4566", "discover": False},
        "environments": {"demo": own},
    }


class Gateway:
    """A gateway in the network; `names` says whether it can resolve what is named there."""

    def __init__(self, world, home, names=False, more=None, variables=None, binary=BINARY, **keys):
        self.world = world
        self.binary = binary
        self.config = Path(home) / "mwaa-gateway.toml"
        self.variables = {**world.keys, **(variables or {})}
        self.names = names
        tables = configured(world.ca_file, **keys)
        for table, values in (more or {}).items():
            tables[table] = {**tables.get(table, {}), **values}
        self.config.write_text(toml(tables))

    def __enter__(self):
        self.program = self.world.network.start(
            str(self.binary), "serve", "--config", str(self.config), names=self.names, **self.variables
        )
        try:
            self.program.line(r"management on ")
        except BaseException:
            self.program.stop()
            raise
        return self

    def __exit__(self, *_):
        self.program.stop()

    def cli(self, command="version"):
        return self.world.network.curl(
            "--header", "Content-Type: text/plain", "--header", "Accept: text/plain",
            "--data", command, f"http://127.0.0.1:{LISTEN}/aws_mwaa/cli",
        )  # fmt: skip

    def get(self, path="/api/v1/dags"):
        return self.world.network.curl(f"http://127.0.0.1:{LISTEN}{path}")

    def status(self):
        reply = self.world.network.curl(f"http://127.0.0.1:{MANAGEMENT}/status")
        return reply.json()["environments"][0]

    def check(self):
        return self.world.network.run(
            str(BINARY), "check", "--config", str(self.config), names=self.names, **self.variables
        )

    def works(self, way):
        """Commands and the REST API work, and `/status` and `check` report the route."""
        reply = self.cli()
        assert (reply.status, reply.text().strip()) == (200, "2.10.3"), reply.text()
        assert self.get().status == 200
        assert self.status()["way"] == way
        checked = self.check()
        assert checked.returncode == 0, checked.stdout
        assert f"TLS connection to {self.world.host} {way}" in checked.stdout, checked.stdout

    def fails(self, code, *words):
        reply = self.cli()
        fault = reply.json()
        assert fault["code"] == code, fault
        for word in words:
            assert word in fault["detail"] + fault["hint"], fault
        assert PASSWORD not in json.dumps(fault)
        return fault


@pytest.fixture
def user_file(tmp_path):
    file = tmp_path / "proxy-user"
    file.write_text(f"me:{PASSWORD}\n")
    file.chmod(0o600)
    return str(file)


def test_without_a_proxy_the_web_server_is_out_of_reach_here(world, tmp_path):
    with Gateway(world, tmp_path) as gateway:
        gateway.fails("upstream.unreachable", world.host)


def test_socks_with_the_proxy_resolving_names(world, tmp_path, user_file):
    url = f"socks5h://127.0.0.1:{SOCKS}"
    with Gateway(world, tmp_path, proxy=url) as gateway:
        gateway.works(f"through {url}")
    # SOCKS 5 with local names needs a resolver here
    url = f"socks5://127.0.0.1:{SOCKS}"
    with Gateway(world, tmp_path, proxy=url) as gateway:
        gateway.fails("upstream.proxy", "resolve", "socks5h://")
    with Gateway(world, tmp_path, names=True, proxy=url) as gateway:
        gateway.works(f"through {url}")
    # if the proxy wants no user, the gateway tries again without one
    with Gateway(world, tmp_path, proxy=url, proxy_user_file=user_file, names=True) as gateway:
        assert gateway.cli().status == 200
    url = f"socks5h://127.0.0.1:{SOCKS_USER}"
    with Gateway(world, tmp_path, proxy=url, proxy_user_file=user_file) as gateway:
        gateway.works(f"through {url}")
    with Gateway(world, tmp_path, proxy=url) as gateway:
        gateway.fails("upstream.proxy", f"the proxy {url}", "user_file")


def test_connect_over_http_and_https(world, tmp_path, user_file):
    url = f"http://127.0.0.1:{CONNECT}"
    with Gateway(world, tmp_path, proxy=url, proxy_user_file=user_file) as gateway:
        gateway.works(f"through {url}")
    with Gateway(world, tmp_path, proxy=url) as gateway:
        gateway.fails("upstream.proxy", f'the proxy {url} returned "407', world.host, "user_file")
    wrong = tmp_path / "wrong"
    wrong.write_text("me:wrong")
    wrong.chmod(0o600)
    with Gateway(world, tmp_path, proxy=url, proxy_user_file=str(wrong)) as gateway:
        gateway.fails("upstream.proxy", "the user or the password is wrong")
    # TLS to the proxy itself: its certificate must be trusted, and be for its name
    url = f"https://proxy.test:{CONNECT_TLS}"
    trusted = {"SSL_CERT_FILE": str(world.folder / "tls.pem")}
    keys = {"proxy": url, "proxy_user_file": user_file}
    with Gateway(world, tmp_path, names=True, variables=trusted, **keys) as gateway:
        gateway.works(f"through {url}")
    with Gateway(world, tmp_path, names=True, **keys) as gateway:
        gateway.fails("upstream.proxy", "TLS", f"the proxy {url}")


def test_proxy_variables_are_read_as_by_curl(world, tmp_path):
    proxy = f"http://me:{PASSWORD}@127.0.0.1:{CONNECT}"
    shown = f"through http://127.0.0.1:{CONNECT}"
    # a dead proxy that must not be used
    dead = "http://127.0.0.1:9"
    for variables in (
        {"HTTPS_PROXY": proxy},
        {"ALL_PROXY": proxy},
        {"HTTPS_PROXY": proxy, "ALL_PROXY": dead},
        {"HTTPS_PROXY": dead, "https_proxy": proxy},
        {"HTTPS_PROXY": proxy, "HTTP_PROXY": dead, "NO_PROXY": "other.example"},
    ):
        with Gateway(world, tmp_path, variables=variables) as gateway:
            gateway.works(shown)
            assert PASSWORD not in gateway.program.output()
    for variables, names in (
        ({"HTTPS_PROXY": dead, "NO_PROXY": "*"}, True),
        ({"HTTPS_PROXY": dead, "no_proxy": "example.org,.amazonaws.com"}, True),
        ({"ALL_PROXY": dead, "NO_PROXY": world.host}, True),
    ):
        with Gateway(world, tmp_path, names=names, variables=variables) as gateway:
            assert gateway.cli().status == 200
            assert gateway.status()["way"] == "directly"
    off = {"proxy": {"url": ""}}
    with Gateway(world, tmp_path, names=True, more=off, variables={"HTTPS_PROXY": dead}) as gateway:
        assert gateway.cli().status == 200
    with Gateway(world, tmp_path, variables={"HTTPS_PROXY": dead}) as gateway:
        gateway.fails("upstream.proxy", f"cannot connect to the proxy {dead}")


def test_aws_calls_use_the_proxy_too(world, tmp_path, user_file):
    """The endpoint's name is not known to the gateway: only the proxy can lead there."""
    more = {
        "aws": {"endpoint_url": f"https://{AWS}:{AWS_TLS}"},
        "proxy": {"url": f"http://127.0.0.1:{CONNECT}", "user_file": user_file},
    }
    variables = {"AWS_CA_BUNDLE": str(world.folder / "tls.pem")}
    with Gateway(world, tmp_path, more=more, variables=variables) as gateway:
        gateway.works(f"through http://127.0.0.1:{CONNECT}")
        world.aws_tls.line(f"connection for {AWS}")
    more["proxy"] = {"url": f"http://127.0.0.1:{CONNECT}"}
    with Gateway(world, tmp_path, more=more, variables=variables) as gateway:
        gateway.fails("aws.unavailable", f"the proxy http://127.0.0.1:{CONNECT}", "407", "user_file")


def test_the_route_does_not_change_the_name_that_tls_verifies(world, tmp_path):
    """The proxy and the tunnel reach another server, whose certificate is for another name."""
    with leads_to(world, f"127.0.0.3 {world.host}"):
        with Gateway(world, tmp_path, proxy=f"socks5h://127.0.0.1:{SOCKS}") as gateway:
            gateway.fails("upstream.tls", world.host, f"through socks5h://127.0.0.1:{SOCKS}")
        words = ssh(world, "-N", "-L", "{local_port}:{host}:443")
        with Gateway(world, tmp_path, tunnel=words) as gateway:
            gateway.fails("upstream.tls", world.host, "through the tunnel `ssh`")


@contextlib.contextmanager
def leads_to(world, *lines):
    """For a while the names of the network lead elsewhere."""
    hosts = world.network.hosts
    before = hosts.read_text()
    world.network.name(*lines)
    try:
        yield
    finally:
        hosts.write_text(before)


def tunnel_of(gateway):
    return gateway.status()["tunnel"]


def tunnel_processes(world):
    """Every ssh of a tunnel in this world, by its key's folder."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == b"ssh" and str(world.folder).encode() in b" ".join(words):
                found.append(int(folder.name))
    return found


def kill(pid, number=signal.SIGKILL):
    subprocess.run([*ROOT, "kill", f"-{int(number)}", str(pid)], check=True)


def test_a_tunnel_starts_on_first_need_and_ends_with_the_gateway(world, tmp_path):
    words = ssh(world, "-N", "-L", "{local_port}:{host}:443")
    eventually(lambda: not tunnel_processes(world), "the tunnels of other tests end")
    with Gateway(world, tmp_path, tunnel=words) as gateway:
        assert tunnel_processes(world) == []
        assert tunnel_of(gateway) == "not needed"
        gateway.works("through the tunnel `ssh`")
        with ThreadPoolExecutor(8) as pool:
            assert {reply.status for reply in pool.map(lambda _: gateway.get(), range(24))} == {200}
        assert len(tunnel_processes(world)) == 1, "one for all connections"
        assert tunnel_of(gateway).startswith("up for")
    eventually(lambda: not tunnel_processes(world), "the tunnel ends with the gateway")
    # not even SIGKILL leaves it behind
    with Gateway(world, tmp_path, tunnel=words) as gateway:
        assert gateway.cli().status == 200
        assert len(tunnel_processes(world)) == 1
        kill(gateway_pid(gateway))
        gateway.program.wait()
        eventually(lambda: not tunnel_processes(world), "the tunnel ends after its gateway was killed")


def gateway_pid(gateway):
    """nsenter becomes the program, sudo stays before it."""
    pid = gateway.program.process.pid
    while Path(f"/proc/{pid}/exe").resolve() != BINARY.resolve():
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return pid


def test_a_tunnel_that_is_killed_under_load_is_restarted(world, tmp_path):
    with Gateway(world, tmp_path, tunnel=ssh(world, "-N", "-L", "{local_port}:{host}:443")) as gateway:
        assert gateway.get().status == 200
        replies, stop = [], threading.Event()

        def load():
            while not stop.is_set():
                replies.append(gateway.get())

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                seen = len(replies)
                [old] = eventually(lambda: tunnel_processes(world), "a tunnel")[:1]
                kill(old)
                eventually(lambda: len(replies) > seen + 20, "replies go on")
                eventually(lambda: replies[-1].status == 200, "and are good again")
                eventually(lambda: tunnel_processes(world) not in ([], [old]), "a new tunnel")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        bad = [reply for reply in replies if reply.status != 200]
        codes = {reply.json()["code"] for reply in bad}
        assert codes <= {"upstream.tunnel", "upstream.broken", "upstream.unreachable"}, codes
        assert gateway.get().status == 200


def test_the_fault_of_a_tunnel_names_the_cause(world, tmp_path):
    forward = ["-N", "-L", "{local_port}:{host}:443"]
    with Gateway(world, tmp_path, tunnel=ssh(world, *forward, key="stranger_key")) as gateway:
        gateway.fails("upstream.tunnel", "the tunnel `ssh` ended", "Permission denied")
        # and it is not started again for each request
        fault = gateway.fails("upstream.tunnel", "Permission denied")
        assert fault["status"] == 502
    with Gateway(world, tmp_path, tunnel=["no-such-program", "{host}", "{local_port}"]) as gateway:
        gateway.fails("upstream.tunnel", "cannot start: No such file", "install `no-such-program`")
    # the bastion is reached, what is behind it is not
    closed = ["-N", "-o", "LogLevel=INFO", "-L", "{local_port}:127.0.0.1:9"]
    with Gateway(world, tmp_path, tunnel=ssh(world, *closed)) as gateway:
        gateway.fails("upstream.tunnel", "did not connect", "Connection refused")
    limits = {"limits": {"tunnel_start": "500ms"}}
    with Gateway(world, tmp_path, more=limits, tunnel=["sleep", "60{local_port}"]) as gateway:
        gateway.fails("upstream.tunnel", "did not open its port within 500ms", "limits.tunnel_start")


def test_a_program_can_be_the_connection(world, tmp_path):
    with Gateway(world, tmp_path, tunnel=ssh(world, "-W", "{host}:443")) as gateway:
        gateway.works("through the tunnel `ssh`")
        assert tunnel_of(gateway) == "one program for each connection"
    eventually(lambda: not tunnel_processes(world), "they end with the gateway")
    with Gateway(world, tmp_path, tunnel=ssh(world, "-W", "{host}:443", key="stranger_key")) as gateway:
        gateway.fails("upstream.tunnel", "Permission denied")
    with Gateway(world, tmp_path, tunnel=["no-such-program", "{host}"]) as gateway:
        gateway.fails("upstream.tunnel", "cannot start", "install `no-such-program`")


def test_a_tunnel_that_is_up_but_cannot_connect_is_restarted(world, tmp_path):
    """Like a Session Manager session whose laptop has slept: the port takes connections, and that is all."""
    starts = tmp_path / "starts"
    script = (
        "import socket, sys, time\n"
        f"starts = open({str(starts)!r}, 'a'); starts.write('x'); starts.close()\n"
        "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True: server.accept()[0].close()\n"
    )
    program = [sys.executable, "-c", script, "{local_port}"]
    with Gateway(world, tmp_path, tunnel=program) as gateway:

        def again():
            gateway.fails("upstream.tunnel", "did not connect")
            return len(starts.read_text()) >= 2

        eventually(again, "another run")


def test_a_tunnel_is_in_a_session_without_the_gateway_s_terminal(world, tmp_path):
    """Else a program could ask at the terminal, and be stopped when it reads the answer."""
    for place in ("{local_port}", "{host}"):
        tell = f"cut -d ' ' -f 6,7 /proc/$$/stat >&2; exit 3 # {place}"
        with Gateway(world, tmp_path, tunnel=["sh", "-c", tell]) as gateway:
            said = re.search(r"its output: (\d+) (-?\d+)", gateway.fails("upstream.tunnel")["detail"])
            own = Path(f"/proc/{gateway_pid(gateway)}/stat").read_text().rsplit(")", 1)[1].split()
            assert said[1] != own[3], "the gateway's session"
            assert said[2] == "0", "a terminal"


def test_a_tunnel_starts_after_the_gateway_s_file_was_replaced(world, tmp_path):
    binary = tmp_path / "mwaa-gateway"
    shutil.copy(BINARY, binary)
    words = ssh(world, "-N", "-L", "{local_port}:{host}:443")
    with Gateway(world, tmp_path, binary=binary, tunnel=words) as gateway:
        fresh = tmp_path / "fresh"
        shutil.copy(BINARY, fresh)
        fresh.rename(binary)
        assert gateway.cli().status == 200


def test_a_tunnel_that_moves_to_the_background_is_reported(world, tmp_path):
    with Gateway(world, tmp_path, tunnel=["sh", "-c", "sleep 0.1 # {local_port}"]) as gateway:
        gateway.fails("upstream.tunnel", "ended immediately without an error", "foreground")


def test_an_old_tunnel_is_replaced_without_failed_requests(world, tmp_path):
    limits = {"limits": {"tunnel_age": "1s", "pool_idle": "1s", "pool_age": "1s"}}
    words = ssh(world, "-N", "-L", "{local_port}:{host}:443")
    with Gateway(world, tmp_path, more=limits, tunnel=words) as gateway:
        assert gateway.get().status == 200
        first = set(tunnel_processes(world))

        def replaced():
            assert gateway.get().status == 200
            return not first & set(tunnel_processes(world))

        eventually(replaced, "another tunnel takes over, and the first one ends")


@pytest.mark.parametrize("dead", ["2001:db8::2", "2001:db8::2 2001:db8::3", "192.0.2.2 2001:db8::2"])
def test_an_unresponsive_address_does_not_fail_a_request(world, tmp_path, dead):
    """Tried one after the other, the dead ones would take all the time that there is."""
    lines = [f"{address} {world.host}" for address in dead.split()]
    with leads_to(world, *lines, f"127.0.0.1 {world.host}"):
        order = world.network.run("getent", "ahosts", world.host).stdout
        assert order.split()[0] in dead.split(), order
        limits = {"limits": {"upstream_connect": "2s"}}
        with Gateway(world, tmp_path, names=True, more=limits) as gateway:
            reply = gateway.cli()
            assert reply.status == 200, reply.text()
