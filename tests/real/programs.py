"""The programs under test as child processes: the gateway, the emulator, curl, Airflow."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LAB = ROOT / "tests" / ".lab"
SHOTS = LAB / "shots"  # pictures and records of the last run
BINARY = Path(os.environ.get("MWAA_GATEWAY_UNDER_TEST", ROOT / "target/release/mwaa-gateway"))
PRODUCTION = BINARY.with_name("mwaa-gateway-production")  # without the emulator
AIRFLOW = HERE / "airflow"

# What a machine under load may need; nothing waits this long when all is well.
PATIENCE = 30

# So much of what clients send is kept to be looked at, in bytes.
LONGEST_HEARD = 65536


def environment(home, **more):
    """The environment of every child: nothing of the caller's but the PATH."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "AWS_EC2_METADATA_DISABLED": "true",
        **{name: str(value) for name, value in more.items()},
    }


class Program:
    """A child process, its output read as it comes."""

    def __init__(self, argv, env, cwd, **more):
        self.started = time.monotonic()
        self.argv = [str(word) for word in argv]
        self.lines = []
        self.news = threading.Condition()
        self.process = subprocess.Popen(
            self.argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
            **more,
        )
        self.readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self.readers:
            reader.start()

    def _read(self, stream):
        for line in stream:
            with self.news:
                self.lines.append(line.rstrip("\n"))
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def output(self):
        with self.news:
            return "\n".join(self.lines)

    def line(self, pattern):
        """Waits for a line that matches, and returns the match."""
        deadline = time.monotonic() + PATIENCE
        with self.news:
            while True:
                for line in self.lines:
                    if found := re.search(pattern, line):
                        return found
                ended = not any(reader.is_alive() for reader in self.readers)
                left = deadline - time.monotonic()
                if ended or left <= 0:
                    why = "ended" if ended else f"said nothing for {PATIENCE} s"
                    said = "\n".join(self.lines)
                    raise AssertionError(f"{self.argv}: {why} before {pattern!r}:\n{said}")
                # a reader's last breath may come before it counts as dead
                self.news.wait(min(left, 0.2))

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=PATIENCE):
        return self.process.wait(seconds)

    def running(self):
        return self.process.poll() is None

    def stop(self):
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait()
        for reader in self.readers:
            reader.join(5)

    def memory(self):
        """The proportional set size in bytes (proc_pid_smaps(5))."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+) kB$", rollup, re.M)[1]) * 1024


class Emulator(Program):
    """`mwaa-gateway emulator`, and what it printed about itself."""

    def __init__(self, home, *arguments, through=(), **more):
        addresses = ["--aws", "127.0.0.1:0", "--web", "127.0.0.1:0"]
        super().__init__(
            [*through, BINARY, "emulator", *addresses, *arguments], environment(home, **more), home
        )
        try:
            self.line(r"^# --- end")
            self.endpoint = self.line(r"^\s*endpoint:?\s+(https?://\S+)")[1]
            self.key = self.line(r"^\s*export AWS_ACCESS_KEY_ID=(\S+)")[1].strip("'\"")
            self.secret = self.line(r"^\s*export AWS_SECRET_ACCESS_KEY=(\S+)")[1].strip("'\"")
            keys = r"^# as (\w+): AWS_ACCESS_KEY_ID=(\S+) AWS_SECRET_ACCESS_KEY=(\S+)"
            self.keys = {"Admin": (self.key, self.secret)} | {
                role: (key, secret)
                for role, key, secret in re.findall(keys, self.output(), re.M)
            }
            self.ca_file = self.line(r"^\s*CA file:\s+(\S.*)$")[1]
            snippet = re.search(
                r"^# --- mwaa-gateway\.toml.*?$(.*?)^# --- end", self.output(), re.M | re.S
            )
            self.config = tomllib.loads(snippet[1])
        except BaseException:
            self.stop()
            raise
        self.region = self.config["aws"]["region"]
        self.names = {
            local: table.get("name", local)
            for local, table in self.config["environments"].items()
        }

    def host(self):
        """The host of the first environment's web server, as AWS names it."""
        mwaa = boto3.client(
            "mwaa",
            region_name=self.region,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            config=boto3.session.Config(inject_host_prefix=False),
        )
        name = next(iter(self.names.values()))
        url = mwaa.get_environment(Name=name)["Environment"]["WebserverUrl"]
        return url.removeprefix("https://")

    def credentials(self):
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def config_for_one(self, endpoint=None, **keys):
        """The printed configuration with its first environment alone, and more keys in it."""
        local, table = next(iter(self.config["environments"].items()))
        rest = {name: value for name, value in self.config.items() if name != "environments"}
        if endpoint:
            rest["aws"] = {**rest["aws"], "endpoint_url": endpoint}
            table = {key: value for key, value in table.items() if key != "endpoint_url"}
        return {**rest, "environments": {local: {**table, **keys}}}


class Gateway(Program):
    """`mwaa-gateway serve` on ports of its own choice."""

    def __init__(self, home, config, binary=BINARY, **more):
        file = Path(home) / "mwaa-gateway.toml"
        file.write_text(toml(config))
        argv = [binary, "serve", "--config", file]
        argv += ["--listen", "127.0.0.1:0", "--management", "127.0.0.1:0"]
        super().__init__(argv, environment(home, **more), home)
        try:
            self.url = self.line(r"listening on (https?://127\.0\.0\.1:\d+)")[1]
            self.management = self.line(r"management on (http://127\.0\.0\.1:\d+)")[1]
        except BaseException:
            self.stop()
            raise

    def cli(self, command, accept=None):
        """Posts one command line, as a person with curl would."""
        headers = ["Content-Type: text/plain"] + ([f"Accept: {accept}"] if accept else [])
        return curl(f"{self.url}/aws_mwaa/cli", headers, command)

    def metric(self, name, **labels):
        """The sum of the samples of a metric that carry these labels."""
        total, seen = 0.0, False
        for line in curl(f"{self.management}/metrics").text().splitlines():
            sample = re.fullmatch(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)", line)
            if sample and sample[1] == name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', sample[2] or ""))
                seen = True
                if labels.items() <= found.items():
                    total += float(sample[3])
        assert seen or labels, f"no metric {name}"
        return total

    def mints(self):
        return int(self.metric("mwaa_gateway_mints_total", outcome="ok"))

    def date(self):
        """The time the gateway believes it is, as its management address says it."""
        return curl(f"{self.management}/livez").headers["date"]


@dataclass
class Reply:
    """An HTTP reply as curl received it."""

    status: int
    headers: dict
    body: bytes

    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


def curl(url, headers=(), data=None, options=()):
    argv = ["curl", "--disable", "--silent", "--show-error", "--noproxy", "*", "--include"]
    argv += ["--max-time", "120", *options]
    for header in headers:
        argv += ["--header", header]
    if data is not None:
        argv += ["--data-binary", "@-"]
    done = subprocess.run(
        [*argv, url], input=(data or "").encode(), capture_output=True, timeout=150, check=False
    )
    assert done.returncode == 0, f"curl {url}: exit {done.returncode}: {done.stderr.decode()}"
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.split()[1].startswith(b"1"):
        head, _, body = body.partition(b"\r\n\r\n")
    first, *fields = head.decode("latin-1").split("\r\n")
    found = {name.lower(): value.strip() for name, _, value in (f.partition(":") for f in fields)}
    return Reply(int(first.split()[1]), found, body)


class Relay:
    """A TCP port in front of another that counts what clients send through it, and knows the
    beginning of it."""

    def __init__(self, url=None):
        if url:
            self.lead_to(url)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.connections = self.sent = 0
        self.heard = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, url):
        host, port = re.fullmatch(r"http://([^:/]+):(\d+)/?", url).groups()
        self.target = (host, int(port))

    def _accept(self):
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(self.target)
            threading.Thread(target=self._pump, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, False), daemon=True).start()

    def _pump(self, source, sink, outward):
        try:
            while chunk := source.recv(65536):
                if outward:
                    self.sent += len(chunk)
                    self.heard += chunk[: LONGEST_HEARD - len(self.heard)]
                sink.sendall(chunk)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def toml(table):
    """Writes nested tables of plain values; a JSON string is a TOML string too."""

    def write(table, path):
        lines = [
            f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in table.items()
            if not isinstance(value, dict)
        ]
        if path:
            header = ".".join(json.dumps(part) for part in path)
            lines.insert(0, f"[{header}]")
        for key, value in table.items():
            if isinstance(value, dict):
                lines += write(value, [*path, key])
        return lines

    return "\n".join(write(table, [])) + "\n"


def certify(folder, host):
    """A certificate for this host that is its own authority, and its key."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{host}", "-addext", "basicConstraints=critical,CA:FALSE",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def run_in_thread(work):
    """Another test in this process may have left an event loop that runs in its thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def eventually(question, what):
    """Asks until the answer is true."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := question()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.01)
    return answer
