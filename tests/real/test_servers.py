"""Web servers that are neither rustls nor hyper, in front of the real gateway: nginx and Python's
`ssl`, both OpenSSL, each with TLS 1.2 alone and with TLS 1.3 alone."""

import base64
import hashlib
import http.client
import json
import os
import re
import secrets
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from programs import LAB, Emulator, Gateway, Program, curl, environment, eventually

NGINX = LAB / "nginx/usr/sbin/nginx"
VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
LARGE = secrets.token_bytes(6 << 20)
COMMAND = json.dumps({"stdout": base64.b64encode(b"2.10.3\n").decode(), "stderr": ""}).encode()

# Seconds for which both servers keep an idle connection.
KEEP_ALIVE = 1

# Replies that are not complete if the connection ends without close_notify.
CUTS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{\"std",
    "chunked": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\n{\"std\r\n",
    "close": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + COMMAND,
}


class Handler(BaseHTTPRequestHandler):
    """What the environment's web server says, in plain HTTP or over TLS."""

    protocol_version = "HTTP/1.1"
    timeout = KEEP_ALIVE

    def setup(self):
        self.polite = True
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self):
        # an idle connection ends as it should; a reply that is cut, without close_notify
        if self.server.tls and self.polite:
            self.request.unwrap()
        super().finish()

    def seen(self):
        if self.server.tls:
            line = (self.request.version(), self.request.session_reused, self.client_address)
            self.server.exchanges.append(line)

    def body(self):
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def reply(self, body, **fields):
        self.send_response(200)
        for name, value in {"Content-Type": "application/json", **fields}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.seen()
        body = self.body()
        if self.path.endswith("/login"):
            return self.reply(b"", Set_Cookie="session=s; Path=/; HttpOnly")
        if cut := self.server.cuts.pop() if self.server.cuts else None:
            return self.cut(cut)
        if self.path == "/aws_mwaa/cli":
            return self.reply(COMMAND)
        return self.reply(json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode())

    def do_GET(self):
        self.seen()
        if cut := self.server.cuts.pop() if self.server.cuts else None:
            return self.cut(cut)
        if self.path != "/api/v1/large":
            return self.reply(json.dumps({"path": self.path}).encode())
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(LARGE), 100_000):
            piece = LARGE[start : start + 100_000]
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def cut(self, cut):
        head, self.polite = cut
        self.wfile.write(head)
        self.close_connection = True

    def log_message(self, *_):
        pass


class WebServer(ThreadingHTTPServer):
    """Python's server, over TLS if there is a context."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = False

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.tls = tls
        self.address = "127.0.0.1:%d" % self.server_address[1]
        self.open = 0
        self.cuts = []
        self.exchanges = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def process_request_thread(self, request, client_address):
        self.open += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.open -= 1

    def handle_error(self, *_):
        pass  # a client that leaves

    def stop(self):
        self.shutdown()
        self.server_close()


class Python:
    """The server of Python's `ssl`."""

    CUTS = list(CUTS)

    def __init__(self, folder, host, version, pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        context.minimum_version = context.maximum_version = VERSIONS[version]
        self.handler = WebServer(context)
        self.address = self.handler.address

    def exchanges(self):
        """Version, whether the TLS session was resumed and the connection, of each exchange."""
        return list(self.handler.exchanges)

    def is_idle(self):
        return self.handler.open == 0

    def stop(self):
        self.handler.stop()


class Nginx:
    """nginx, which passes on to a server of Python's in plain HTTP. It inherits a socket that
    listens already, as in an upgrade of its binary: so no other program can get its port."""

    # what ends with its connection is complete on the way to nginx, where there is no TLS
    CUTS = ["length", "chunked"]

    def __init__(self, folder, host, version, pair):
        self.handler = WebServer()
        self.status = folder / "status"
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = "127.0.0.1:%d" % listener.getsockname()[1]
            config = folder / "nginx.conf"
            certificate, key = pair
            temporary = "".join(
                f"{kind}_temp_path {folder}/{kind};"
                for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            )
            # its worker must write to the folder; without root there is no other user to be
            user = "" if os.geteuid() else "user root;"
            config.write_text(f"""
                daemon off; worker_processes 1; {user} pid {folder}/nginx.pid; error_log stderr notice;
                events {{ worker_connections 64; }}
                http {{
                    {temporary}
                    log_format exchange 'exchange $ssl_protocol $ssl_session_reused $connection.';
                    access_log /dev/stdout exchange;
                    server {{
                        listen {self.address} ssl;
                        ssl_certificate {certificate}; ssl_certificate_key {key};
                        ssl_protocols {version}; ssl_session_cache shared:sessions:1m;
                        keepalive_timeout {KEEP_ALIVE}s; client_max_body_size 0;
                        location / {{
                            proxy_pass http://{self.handler.address};
                            proxy_http_version 1.1; proxy_set_header Host $host;
                            proxy_buffering off; proxy_request_buffering off;
                        }}
                    }}
                    server {{ listen unix:{self.status}; access_log off; location / {{ stub_status; }} }}
                }}""")
            file = listener.fileno()
            self.program = Program(
                [NGINX, "-c", config, "-p", folder, "-e", "stderr"],
                environment(folder, NGINX=f"{file};"), folder, pass_fds=[file],
            )  # fmt: skip
        self.program.line("start worker process ")

    def exchanges(self):
        found = re.findall(r"^exchange (\S+) (\S+) (\d+)\.$", self.program.output(), re.M)
        return [(version, reused == "r", connection) for version, reused, connection in found]

    def is_idle(self):
        reply = curl("http://status/", options=["--unix-socket", str(self.status)])
        return "Active connections: 1 " in reply.text()

    def stop(self):
        self.program.stop()
        self.handler.stop()


def make_certificates(folder, host):
    """The certificate of a CA, and a pair for the host that it signed."""

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-subj", "/CN=CA")
    certificate, key = folder / "server.pem", folder / "server.key"
    openssl(
        "req", "-x509", *new, "-CA", ca, "-CAkey", ca_key, "-keyout", key, "-out", certificate,
        "-subj", "/CN=web", "-addext", f"subjectAltName=DNS:{host}",
        "-addext", "basicConstraints=critical,CA:FALSE",
    )  # fmt: skip
    return ca, (certificate, key)


class Stand:
    """A gateway whose environment has this web server."""

    def __init__(self, emulator, folder, kind, version):
        host = emulator.host()
        ca_file, pair = make_certificates(folder, host)
        self.server = kind(folder, host, version, pair)
        try:
            config = emulator.config_for_one(
                connect_to=self.server.address, ca_file=str(ca_file), airflow_version="2.10.3"
            )
            config["limits"] = {"threads": 1}
            self.gateway = Gateway(folder, config, **emulator.credentials())
        except BaseException:
            self.server.stop()
            raise

    def stop(self):
        self.gateway.stop()
        self.server.stop()

    def version(self):
        """Runs a command."""
        reply = self.gateway.cli("version", accept="text/plain")
        assert (reply.status, reply.text()) == (200, "2.10.3\n"), reply

    def exchanges(self, count, since=0):
        """The exchanges that the server has logged; it logs one after its response."""
        eventually(lambda: len(self.server.exchanges()) >= since + count, "the server's log")
        return self.server.exchanges()[since:]

    def get(self, path):
        return curl(self.gateway.url + path)

    def broken(self):
        """How many replies the gateway has found to be broken."""
        return curl(f"{self.gateway.management}/status").json()["faults"].get("upstream.broken", 0)

    def whole(self, method, path, body=None):
        """The body of a reply that came whole, as Python's client sees it; None if it did not."""
        client = http.client.HTTPConnection(urlsplit(self.gateway.url).netloc, timeout=60)
        try:
            client.request(method, path, body, {"Content-Type": "text/plain"} if body else {})
            return client.getresponse().read()
        except (http.client.HTTPException, OSError):
            return None
        finally:
            client.close()


@pytest.fixture(scope="module", params=[(kind, version) for kind in (Nginx, Python) for version in VERSIONS],
                ids=lambda param: f"{param[0].__name__}-{param[1]}")  # fmt: skip
def stand(request, emulator, tmp_path_factory):
    kind, version = request.param
    stand = Stand(emulator, tmp_path_factory.mktemp("servers"), kind, version)
    stand.tls = version
    yield stand
    stand.stop()


def test_commands_and_the_rest_api_speak_its_version(stand):
    stand.version()
    assert stand.get("/api/v1/dags?limit=2").json() == {"path": "/api/v1/dags?limit=2"}
    assert {version for version, _, _ in stand.exchanges(count=2)} == {stand.tls}


def test_large_chunked_bodies_come_whole_both_ways(stand):
    assert stand.get("/api/v1/large").body == LARGE
    client = http.client.HTTPConnection(urlsplit(stand.gateway.url).netloc, timeout=60)
    pieces = (LARGE[start : start + 70_000] for start in range(0, len(LARGE), 70_000))
    client.request("POST", "/api/v1/upload", pieces, encode_chunked=True,
                   headers={"Transfer-Encoding": "chunked", "Content-Type": "application/json"})  # fmt: skip
    reply = json.loads(client.getresponse().read())
    assert reply == {"sha256": hashlib.sha256(LARGE).hexdigest()}
    client.close()


def test_a_connection_is_used_again_and_its_end_is_noticed(stand):
    broken = stand.broken()
    for _ in range(2):
        eventually(stand.server.is_idle, "the server has closed what was idle")
        before = len(stand.server.exchanges())
        for _ in range(3):
            stand.version()
        exchanges = stand.exchanges(since=before, count=3)
        assert len(exchanges) == 3
        assert len({connection for _, _, connection in exchanges}) == 1, exchanges
    assert exchanges[0][1], "the TLS session was not resumed"
    assert stand.broken() == broken


def test_a_reply_that_is_cut_is_broken_and_never_complete(stand):
    cuts = stand.server.handler.cuts
    for how in stand.server.CUTS:
        broken = stand.broken()

        cuts.append((CUTS[how], False))
        decoded = stand.gateway.cli("version", accept="text/plain")
        assert decoded.headers["mwaa-gateway-fault"] == "upstream.broken", decoded
        cuts.append((CUTS[how], False))
        assert stand.whole("POST", "/aws_mwaa/cli", "version") is None, how
        cuts.append((CUTS[how], False))
        assert stand.whole("GET", "/api/v1/dags") is None, how

        assert (cuts, stand.broken()) == ([], broken + 3), how
        stand.version()


def test_the_end_of_the_connection_completes_a_reply_without_a_length(stand):
    broken = stand.broken()
    stand.server.handler.cuts.append((CUTS["close"], True))
    assert stand.whole("POST", "/aws_mwaa/cli", "version") == COMMAND
    assert stand.broken() == broken


def test_a_connection_that_ends_without_a_reply_is_told(stand):
    # nginx makes a page of its own of it
    stand.server.handler.cuts.append((b"", True))
    reply = stand.gateway.cli("version")
    assert (reply.status, reply.headers["mwaa-gateway-fault"]) == (502, "upstream.broken"), reply
    assert "unknown" in reply.json()["detail"] + reply.json()["hint"]
    assert "nginx" not in reply.text()
    stand.version()
