"""A gateway behind a recorder, as clients of the MWAA API see it: what they receive is kept, and
searched for what must never leave the gateway."""

import asyncio
import base64
import json
import re
import ssl
import subprocess
import threading

from airflows import VERSIONS
from programs import Gateway

JWT = re.compile(rb"(eyJ[\w-]+)\.[\w-]+\.[\w-]+")

# Bodies are searched, so clients must not get them compressed. The names have the same length.
ENCODING = re.compile(rb"\r\naccept-encoding:", re.I)
PLAIN = b"\r\nx-none-encoding:"


class Recorder:
    """An address in front of another one, both with TLS or both without, that keeps what clients
    receive."""

    def __init__(self, near=None, far=None):
        self.near, self.far = near, far
        self.received = bytearray()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=near))
        self.port = self.server.sockets[0].getsockname()[1]

    def _run(self, task):
        return asyncio.run_coroutine_threadsafe(task, self.loop).result(30)

    async def _serve(self, reader, writer):
        try:
            there = await asyncio.open_connection("127.0.0.1", self.target, ssl=self.far,
                                                  server_hostname="localhost" if self.far else None)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._pump(reader, there[1], self._send), self._pump(there[0], writer, self._keep))

    async def _pump(self, reader, writer, change):
        try:
            while data := await reader.read(65536):
                writer.write(change(data))
                await writer.drain()
        except OSError:
            pass
        writer.close()

    @staticmethod
    def _send(data):
        return ENCODING.sub(PLAIN, data)

    def _keep(self, data):
        self.received += data
        return data

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)


class Endpoint:
    """The address that clients use, and the variables that they need for it."""

    def __init__(self, fleet, folder, scheme, default):
        self.fleet, self.scheme = fleet, scheme
        self.authority = folder / "ca.pem"
        listener, near, far = {}, None, None
        if scheme == "https":
            near, far = certify(folder)
            listener["tls"] = {"certificate": str(folder / "gateway.pem"), "key": str(folder / "gateway.key")}
        self.recorder = Recorder(near, far)
        self.host = f"127.0.0.1:{self.recorder.port}"
        listener["hosts"] = [self.host, f"localhost:{self.recorder.port}"]
        self.url = f"{scheme}://{self.host}"
        tables = fleet.emulator.config["environments"].items()
        environments = {name: {**table, "default": name == default} for name, table in tables}
        config = {**fleet.emulator.config, "listener": listener, "environments": environments}
        self.gateway = Gateway(folder, config, **fleet.emulator.credentials())
        self.recorder.target = int(self.gateway.url.rsplit(":", 1)[1])

    def variables(self):
        """What the guide says to set, and how each client finds the authority of the test."""
        found = {
            "AWS_ENDPOINT_URL_MWAA": self.url,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_REGION": "eu-west-1",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
        }
        if self.scheme == "https":
            names = ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"]
            found |= dict.fromkeys(names, self.authority)
        return found

    def canaries(self):
        """What no client may receive: the gateway's AWS keys, the secret of the Airflows' front,
        and all their sessions."""
        found = [*self.fleet.emulator.keys["Admin"], (self.fleet.folder / "front-secret").read_text()]
        for airflow in self.fleet.airflows.values():
            sessions = airflow.query("select session_id from session where session_id is not null")
            found += [session.removeprefix("session:") for session in sessions]
        return found

    def check(self):
        """Fails if clients have received a canary, or a token that is not the gateway's own."""
        received, self.recorder.received = self.recorder.received, bytearray()
        assert received, "no client has received anything"
        assert real_tokens(received) == []
        assert [canary for canary in self.canaries() if canary.encode() in received] == []

    def stop(self):
        self.gateway.stop()
        self.recorder.close()


def real_tokens(received):
    """The tokens that are not local ones, which name the gateway as the owner of their key."""
    found = JWT.finditer(received)
    return [token[0] for token in found if header(token[1]).get("kid") != "mwaa-gateway"]


def header(part):
    try:
        return json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except ValueError:
        return {}


def certify(folder):
    """An authority, and a certificate of it for loopback. Returns the TLS settings of a server that
    uses the certificate, and of a client that trusts it."""
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    authority = ["-keyout", folder / "ca.key", "-out", folder / "ca.pem"]
    # each by its name: OpenSSL and rustls do not accept *.localhost
    hosts = ["localhost", *(f"{name}.localhost" for name in ["env", "api", *VERSIONS])]
    names = "subjectAltName=IP:127.0.0.1," + ",".join(f"DNS:{host}" for host in hosts)
    files = [folder / "gateway.pem", folder / "gateway.key"]
    leaf = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-addext", names,
            "-addext", "basicConstraints=critical,CA:FALSE", "-out", files[0], "-keyout", files[1]]
    for argv in [[*new, "-subj", "/CN=authority", *authority], [*new, "-subj", "/CN=localhost", *leaf]]:
        subprocess.run(argv, check=True, capture_output=True)
    files[1].chmod(0o600)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*files)
    return server, ssl.create_default_context(cafile=folder / "ca.pem")
