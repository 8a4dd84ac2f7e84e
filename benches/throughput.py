#!/usr/bin/env python3
"""CPU per request through the gateway, beside nginx doing the same job.

    cargo build --release && python3 benches/throughput.py [--rounds 5] [--connections 1,64]

Needs Debian's nginx, wrk, openssl and curl. Load, proxy and upstream share one core, so that the
figure does not depend on how the machine places its processors; rounds are interleaved in random
order. The upstream is nginx with TLS; it answers 401 to a request without a bearer token, and a
run with any reply but 200 does not count. CPU is the proxy's scheduler time, all threads.
"""

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "target/release/mwaa-gateway"
CORE = "0"
BODY = '{"stderr": "", "stdout": "' + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo" * 4 + '"}'

UPSTREAM = """
pid {folder}/upstream.pid; error_log {folder}/upstream.log; daemon off; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/b1; proxy_temp_path {folder}/p1;
  fastcgi_temp_path {folder}/f1; uwsgi_temp_path {folder}/u1; scgi_temp_path {folder}/s1;
  server {{
    listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/leaf.pem; ssl_certificate_key {folder}/leaf.key;
    ssl_protocols TLSv1.3; keepalive_requests 100000000; keepalive_timeout 600s;
    location / {{
      if ($http_authorization !~ "^Bearer .+") {{ return 401; }}
      default_type application/json; return 200 '{body}';
    }}
  }}
}}
"""

PROXY = """
pid {folder}/proxy.pid; error_log {folder}/proxy.log; daemon off; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/b2; proxy_temp_path {folder}/p2;
  fastcgi_temp_path {folder}/f2; uwsgi_temp_path {folder}/u2; scgi_temp_path {folder}/s2;
  upstream web {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 100000000; keepalive_timeout 600s; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 100000000; keepalive_timeout 600s;
    location / {{
      proxy_pass https://web; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host {host}; proxy_set_header Authorization "Bearer {token}";
      proxy_ssl_server_name on; proxy_ssl_name {host}; proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {folder}/ca.pem; proxy_ssl_protocols TLSv1.3;
    }}
  }}
}}
"""

LOAD = """
wrk.method = "POST"
wrk.path = "/aws_mwaa/cli"
wrk.body = "dags list-runs -d example -o json"
wrk.headers["Content-Type"] = "text/plain"
"""


def run(*words, **more):
    return subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True, **more).stdout


def start(*words, env=None):
    words = ["taskset", "-c", CORE, *map(str, words)]
    return subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def until(process, pattern):
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, said, re.S):
            return said
    raise SystemExit(f"{process.args} ended early:\n{said}")


def cpu_seconds(pid):
    """The scheduler's run time of a process and its children, all threads."""
    family = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    total = 0
    for member in family:
        for task in Path(f"/proc/{member}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def certificates(folder, host):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "2", "-subj", "/CN=bench", "-keyout", folder / "ca.key", "-out", folder / "ca.pem",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", "/CN=web", "-keyout", folder / "leaf.key", "-out", folder / "leaf.csr")
    (folder / "leaf.ext").write_text(f"subjectAltName=DNS:{host}\nbasicConstraints=CA:FALSE\n")
    run("openssl", "x509", "-req", "-in", folder / "leaf.csr", "-CA", folder / "ca.pem", "-CAkey",
        folder / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", folder / "leaf.ext",
        "-out", folder / "leaf.pem")


def measure(name, port, pid, connections, seconds, folder):
    before = cpu_seconds(pid)
    said = run("taskset", "-c", CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
               folder / "load.lua", f"http://127.0.0.1:{port}/")
    spent = cpu_seconds(pid) - before
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{name}: not every reply was 200:\n{said}")
    requests = int(re.search(r"(\d+) requests in", said)[1])
    return spent / requests * 1e5, requests / seconds


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=1)
    options.add_argument("--connections", default="1,16,64")
    options = options.parse_args()
    children = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "load.lua").write_text(LOAD)
        try:
            emulator = start(BINARY, "emulator", "--aws", "127.0.0.1:0", "--web", "127.0.0.1:0")
            children.append(emulator)
            said = until(emulator, "# --- end")
            keys = dict(re.findall(r"export (AWS_\w+)=(\S+)", said))
            endpoint = re.search(r"endpoint (http\S+)", said)[1]
            env = {**os.environ, **keys, "AWS_EC2_METADATA_DISABLED": "true"}

            # one real command tells which host the token is for
            snippet = re.search(r"toml\n(.*)# --- end", said, re.S)[1]
            (folder / "first.toml").write_text(snippet)
            first = start(BINARY, "serve", "--config", folder / "first.toml", "--listen", "127.0.0.1:0",
                          "--management", "127.0.0.1:0", env=env)
            children.append(first)
            urls = re.findall(r"http://\S+", until(first, r"management on \S+"))
            run("curl", "-sf", urls[0] + "/aws_mwaa/cli", "-H", "Content-Type: text/plain", "-d", "version")
            status = json.loads(run("curl", "-sf", urls[1] + "/status"))
            host = next(e["cli_token"]["web_server"] for e in status["environments"] if e["local"] == "demo")
            first.terminate()
            certificates(folder, host)

            (folder / "upstream.conf").write_text(UPSTREAM.format(folder=folder, port=18443, body=BODY))
            (folder / "proxy.conf").write_text(PROXY.format(
                folder=folder, port=18081, upstream=18443, host=host, token="x" * 600))
            (folder / "gateway.toml").write_text(f"""
[listener]
address = "127.0.0.1:18082"
[management]
address = "127.0.0.1:18083"
[aws]
region = "eu-west-1"
endpoint_url = "{endpoint}"
[limits]
threads = 1
[environments.demo]
airflow_version = "2.10.3"
connect_to = "127.0.0.1:18443"
ca_file = "{folder}/ca.pem"
cli_concurrency = 64
""")
            upstream = start("nginx", "-c", folder / "upstream.conf")
            proxy = start("nginx", "-c", folder / "proxy.conf")
            gateway = start(BINARY, "serve", "--config", folder / "gateway.toml", "--log", "off", env=env)
            children += [upstream, proxy, gateway]
            until(gateway, "management on")
            for port in (18081, 18082):
                run("curl", "-sf", "--retry", "20", "--retry-connrefused", "--retry-delay", "1",
                    f"http://127.0.0.1:{port}/aws_mwaa/cli", "-H", "Content-Type: text/plain", "-d", "version")
            peers = {"nginx": (18081, proxy.pid), "gateway": (18082, gateway.pid)}
            for name, (port, pid) in peers.items():
                measure(name, port, pid, 8, 1, folder)
            print(f"{'connections':>11}  {'':8} {'CPU s per 100,000':>18} {'requests/s':>11}")
            for connections in map(int, options.connections.split(",")):
                rounds = {name: [] for name in peers}
                for _ in range(options.rounds):
                    for name in random.sample(list(peers), len(peers)):
                        port, pid = peers[name]
                        rounds[name].append(measure(name, port, pid, connections, options.seconds, folder))
                for name, figures in rounds.items():
                    cost, rate = (statistics.median(column) for column in zip(*figures))
                    print(f"{connections:>11}  {name:8} {cost:>18.3f} {rate:>11.0f}")
                pairs = zip(rounds["gateway"], rounds["nginx"])
                ratio = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
                print(f"{connections:>11}  gateway / nginx, CPU per request: {ratio:.2f}")
        finally:
            for child in reversed(children):
                child.terminate()
            for child in children:
                child.wait(20)


if __name__ == "__main__":
    main()
