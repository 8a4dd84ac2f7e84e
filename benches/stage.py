"""The stage of a comparison: AWS, a web server, the proxies, and the load. All on one core.

The web server is nginx with TLS. It refuses a request without the right credential, and a run with
any reply but 200 fails, so no proxy is measured that does not add the credential.
"""

import contextlib
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HOST = "bench.c1.eu-west-1.airflow.amazonaws.com"  # the certificate covers all hosts of the domain
BEARER = "Bearer " + "t" * 600
COOKIE = "session=" + "s" * 300
OUTPUT = '{"stderr": "", "stdout": "' + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo" * 4 + '"}'
PAGE = '{"dags": [], "total_entries": 0, "note": "' + "n" * 155 + '"}'
COMMAND = "dags list-runs -d example -o json"
BIG = {"16 KiB": 16 << 10, "1 MiB": 1 << 20}

NGINX = """
pid {folder}/{name}.pid; error_log {folder}/{name}.log; daemon off; worker_processes 1;
worker_rlimit_nofile 16384; events {{ worker_connections 8192; }}
http {{
  access_log {access_log}; client_body_temp_path {folder}/{name}-b; proxy_temp_path {folder}/{name}-p;
  fastcgi_temp_path {folder}/{name}-f; uwsgi_temp_path {folder}/{name}-u; scgi_temp_path {folder}/{name}-s;
  keepalive_requests 100000000; keepalive_timeout 600s; default_type application/json;
  {body}
}}
"""

WEB_SERVER = """
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096; ssl_protocols TLSv1.3;
    ssl_certificate {folder}/leaf.pem; ssl_certificate_key {folder}/leaf.key;
    location = /aws_mwaa/login {{ add_header Set-Cookie "{cookie}; Path=/; HttpOnly"; return 200 "welcome"; }}
    location = /aws_mwaa/cli {{ if ($http_authorization !~ "^Bearer .+") {{ return 401; }} return 200 '{output}'; }}
    location /api/ {{ if ($http_cookie !~ "session=s") {{ return 401; }} return 200 '{page}'; }}
    location /api/v1/dags/big/ {{
      if ($http_cookie !~ "session=s") {{ return 401; }}
      alias {folder}/big/;
    }}
  }}
"""

PROXY = """
  upstream web {{ server 127.0.0.1:{web}; keepalive 512; keepalive_requests 100000000; keepalive_timeout 600s; }}
  map_hash_max_size 4096; map_hash_bucket_size 1024;
  map $host $cookie {{ default "{cookie}"; {cookies} }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass https://web; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host {host}; proxy_set_header Authorization "{bearer}"; proxy_set_header Cookie $cookie;
      proxy_ssl_server_name on; proxy_ssl_name {host}; proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {folder}/ca.pem; proxy_ssl_protocols TLSv1.3;
    }}
  }}
"""

HAPROXY = """
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
  {log}
listen gateway
  bind 127.0.0.1:{port} backlog 4096
  http-request set-header Host {host}
  http-request set-header Authorization "{bearer}"
  http-request set-header Cookie "{cookie}"
  default-server ssl verify required ca-file {folder}/ca.pem ssl-min-ver TLSv1.3 pool-max-conn 512
  server web 127.0.0.1:{web} sni str({host})
"""

CADDY = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{port}, http://*.localhost:{port} {{
  bind 127.0.0.1
  {log}
  reverse_proxy https://127.0.0.1:{web} {{
    header_up Host {host}
    header_up Authorization "{bearer}"
    header_up Cookie "{cookie}"
    transport http {{
      tls_trusted_ca_certs {folder}/ca.pem
      tls_server_name {host}
      keepalive 600s
      keepalive_idle_conns_per_host 512
      versions 1.1
      compression off
    }}
  }}
}}
"""

GATEWAY = """
[listener]
address = "127.0.0.1:{port}"
[management]
address = "127.0.0.1:0"
[telemetry]
access_log = {log}
[aws]
region = "eu-west-1"
endpoint_url = "{endpoint}"
[limits]
threads = 1
connections = 8192
"""

ENVIRONMENT = """
[environments.{name}]
airflow_version = "2.10.3"
connect_to = "127.0.0.1:{web}"
ca_file = "{folder}/ca.pem"
cli_concurrency = 64
"""

# wrk's side: the Host of each request in turn, and exact sums at the end
LOAD = """
local hosts, turn, made = {hosts}, 0, {{}}
wrk.method = "{method}"
wrk.body = {body}
wrk.headers["Content-Type"] = {kind}
function init(args)
  for _, host in ipairs(hosts) do
    wrk.headers["Host"] = host
    made[#made + 1] = wrk.format(nil, "{path}")
  end
end
function request()
  turn = turn % #made + 1
  return made[turn]
end
function done(sums)
  local bad = sums.errors
  io.write(string.format('{{"requests": %d, "bytes": %d, "us": %d, "errors": %d}}\\n', sums.requests, sums.bytes,
    sums.duration, bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
"""


# An access line for each request, as Debian's nginx and the gateway write it by default.
# Those of HAProxy and Caddy go to their output, which is a file.
ACCESS_LOGS = {
    True: {"nginx": "{folder}/{label}-access.log", "HAProxy": "log stdout format raw daemon\n  option httplog",
           "Caddy": "log", "gateway": "true"},
    False: {"nginx": "off", "HAProxy": "", "Caddy": "", "gateway": "false"},
}


@dataclass(frozen=True)
class Load:
    """A request and the number of bytes of its response's body."""

    path: str
    size: int
    command: str | None = None


REST = Load("/api/v1/dags?limit=1", len(PAGE))
CLI = Load("/aws_mwaa/cli", 60, COMMAND)
MEDIUM, LARGE = (Load(f"/api/v1/dags/big/{size}", size) for size in BIG.values())


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise SystemExit(f"compare: this command failed: {' '.join(done.args)}\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid):
    """A process and its children."""
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def cpu_ns(pid):
    """The time for which the scheduler ran a process and its children, all threads."""
    tasks = [task for member in family(pid) for task in Path(f"/proc/{member}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def memory_mib(pid):
    """The memory of a process and its children; shared pages count in parts (PSS)."""
    texts = [Path(f"/proc/{member}/smaps_rollup").read_text() for member in family(pid)]
    return sum(int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) for text in texts) / 1024


@dataclass
class Proxy:
    """A proxy that runs."""

    name: str
    port: int
    pid: int
    hosts: list[str]


class Stage:
    """Starts processes on one core and ends them again; used with `with`."""

    def __init__(self, folder, core):
        self.folder = Path(folder)
        self.core = core
        self.stack = contextlib.ExitStack()
        self.environment = dict(os.environ)

    def __enter__(self):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 20000), most))
        os.sched_setaffinity(0, {self.core})
        return self

    def __exit__(self, *what):
        self.stack.close()

    @contextlib.contextmanager
    def measurement(self):
        """What is started within it ends with it."""
        outer, self.stack = self.stack, contextlib.ExitStack()
        try:
            with self.stack:
                yield
        finally:
            self.stack = outer

    def start(self, name, *words):
        """Starts a program. Its output is in the file NAME.out."""
        with (self.folder / f"{name}.out").open("w") as output:
            child = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=subprocess.STDOUT, env=self.environment, cwd=self.folder)
        self.stack.callback(end, child)
        return child

    def until(self, child, name, is_ready):
        """Waits until a program that was started is ready. Returns its output."""
        deadline = time.monotonic() + 30
        while True:
            said = (self.folder / f"{name}.out").read_text()
            if is_ready(said):
                return said
            if time.monotonic() > deadline or child.poll() is not None:
                raise SystemExit(f"compare: this program does not start: {' '.join(child.args)}\n{said}")
            time.sleep(0.02)  # some of these programs say nothing when they are ready

    def until_open(self, child, name, port):
        self.until(child, name, lambda _: is_open(port))

    def certificates(self):
        """A CA, and a certificate of it for the web server: ECDSA, P-256."""
        folder = self.folder
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        run("openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=bench", "-keyout", folder / "ca.key",
            "-out", folder / "ca.pem", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign")
        run("openssl", "req", *key, "-subj", "/CN=web", "-keyout", folder / "leaf.key", "-out", folder / "leaf.csr")
        names = f"DNS:*.{HOST.split('.', 1)[1]}"
        (folder / "leaf.ext").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        run("openssl", "x509", "-req", "-in", folder / "leaf.csr", "-CA", folder / "ca.pem", "-CAkey",
            folder / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", folder / "leaf.ext",
            "-out", folder / "leaf.pem")

    def nginx(self, name, body, access_log="off", **values):
        body = body.format(folder=self.folder, **values)
        text = NGINX.format(folder=self.folder, name=name, body=body, access_log=access_log)
        (self.folder / f"{name}.conf").write_text(text)
        # each nginx from a file of its own: memory is then not shared between them
        binary = self.folder / f"{name}-nginx"
        shutil.copy(shutil.which("nginx"), binary)
        return self.start(name, binary, "-p", self.folder, "-c", self.folder / f"{name}.conf")

    def upstream(self):
        """Starts the web server."""
        self.certificates()
        (self.folder / "big").mkdir()
        for size in BIG.values():
            (self.folder / "big" / str(size)).write_text('"' + "b" * (size - 2) + '"')
        self.folder.chmod(0o755)  # nginx's worker is another user
        self.web = free_port()
        child = self.nginx("web", WEB_SERVER, port=self.web, cookie=COOKIE, output=OUTPUT, page=PAGE)
        self.until_open(child, "web", self.web)

    def aws(self, binary, environments):
        """Starts the emulator as AWS for this number of environments."""
        names = [word for name in names_of(environments) for word in ("--airflow-version", f"{name}=2.10.3")]
        child = self.start("aws", binary, "emulator", "--aws", "127.0.0.1:0", "--web", "127.0.0.1:0", *names)
        said = self.until(child, "aws", lambda said: "# --- end" in said)
        keys = dict(re.findall(r"^export (AWS_\w+)=(\S+)", said, re.M))
        self.endpoint = re.search(r"endpoint (http\S+)", said)[1]
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MWAA_GATEWAY_"))}
        self.environment = {**ours, **keys, "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "eu-west-1",
                            "GOMAXPROCS": "1", "XDG_DATA_HOME": str(self.folder)}

    def proxy(self, name, binary=None, environments=1, access_lines=True):
        """Starts nginx, HAProxy, Caddy or, with a binary, the gateway, and waits until it serves."""
        port = free_port()
        label = f"{name}-{port}"
        names = names_of(environments)
        config = self.folder / f"{label}.conf"
        log = ACCESS_LOGS[access_lines]["gateway" if binary else name].format(folder=self.folder, label=label)
        if binary:
            config.write_text(self.gateway_config(port, names, log))
            child = self.start(label, binary, "serve", "--config", config)
        elif name == "nginx":
            cookies = " ".join(f'{name}.localhost "{COOKIE}{name}";' for name in names)
            child = self.nginx(label, PROXY, log, cookies=cookies, **self.values(port))
        elif name == "HAProxy":
            config.write_text(HAPROXY.format(folder=self.folder, log=log, **self.values(port)))
            child = self.start(label, "haproxy", "-f", config)
        else:
            config.write_text(CADDY.format(folder=self.folder, log=log, **self.values(port)))
            child = self.start(label, "caddy", "run", "--adapter", "caddyfile", "--config", config)
        self.until_open(child, label, port)

        made = Proxy(name, port, child.pid, [f"{name}.localhost:{port}" for name in names])
        for host in made.hosts:
            for load in (REST, CLI):
                check(made, load, host)
        return made

    def values(self, port):
        """What the configurations of the other proxies have in common."""
        return {"port": port, "web": self.web, "host": HOST, "bearer": BEARER, "cookie": COOKIE}

    def gateway_config(self, port, names, log):
        tables = [ENVIRONMENT.format(name=name, web=self.web, folder=self.folder) for name in names]
        return GATEWAY.format(port=port, endpoint=self.endpoint, log=log) + "".join(tables)

    def measure(self, proxy, load, connections, seconds):
        """Sends load for some seconds. Returns the proxy's CPU in µs for each request, and requests/s."""
        script = self.folder / f"{proxy.name}-{proxy.port}.lua"
        script.write_text(LOAD.format(
            hosts="{" + ", ".join(json.dumps(host) for host in proxy.hosts) + "}", path=load.path,
            method="POST" if load.command else "GET", body=json.dumps(load.command) if load.command else "nil",
            kind='"text/plain"' if load.command else "nil"))
        before = cpu_ns(proxy.pid)
        said = run("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
                   f"http://127.0.0.1:{proxy.port}{load.path}")
        spent = cpu_ns(proxy.pid) - before
        sums = json.loads(said.splitlines()[-1])
        if sums["errors"] or not sums["requests"] or sums["bytes"] / sums["requests"] < load.size:
            raise SystemExit(f"compare: {proxy.name}: not every reply to {load.path} was 200:\n{said}")
        return spent / sums["requests"] / 1000, sums["requests"] / sums["us"] * 1e6

    def pace(self, proxy, program, rate, connections, seconds):
        """Sends requests at a fixed rate. Returns the median of the latencies and their 99th percentile, in µs."""
        address = f"127.0.0.1:{proxy.port}"
        said = json.loads(run(program, address, proxy.hosts[0], REST.path, rate, connections, seconds))
        return said["p50"], said["p99"]

    def memory(self, proxy, idle, active):
        """Returns the MiB of a proxy with idle connections and active ones besides."""
        with contextlib.ExitStack() as stack:
            for _ in range(idle):
                client = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=30)
                stack.callback(client.close)
                get(client, proxy)
            load = stack.enter_context(ThreadPoolExecutor()).submit(self.measure, proxy, REST, active, 3)
            time.sleep(2)  # in the last third of the load, when its connections have been used
            found = memory_mib(proxy.pid)
            load.result()
            return found


def get(client, proxy):
    client.request("GET", REST.path, headers={"Host": proxy.hosts[0]})
    with client.getresponse() as reply:
        if reply.status != 200 or len(reply.read()) < REST.size:
            raise SystemExit(f"compare: {proxy.name} answers {REST.path} with {reply.status}")


def names_of(environments):
    return [f"e{number}" for number in range(environments)]


def end(child):
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(40)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def check(proxy, load, host):
    """Fails unless one request is answered with 200 and the whole body."""
    words = ["-H", "Content-Type: text/plain", "-d", load.command] if load.command else []
    said = run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "-H", f"Host: {host}",
               *words, f"http://127.0.0.1:{proxy.port}{load.path}")
    status, size = said.split()
    if status != "200" or int(size) < load.size:
        raise SystemExit(f"compare: {proxy.name} answers {load.path} of {host} with {status}, {size} bytes")
