"""Replies that break, in front of a real browser: it must see that the reply is cut. Chromium takes a
connection that closes without a reply for a stale one and sends the request again, a POST too."""

import socket
import ssl
import threading

import pytest
from browser import Tab, chromium
from programs import Emulator, Gateway, certify, curl

# How a web server may break off its reply to a POST. The page expects no success from any.
BREAKS = {
    "before the head": b"",
    "within the head": b"HTTP/1.1 200 OK\r\nContent-Type: text/pl",
    "after the head": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "within the body": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
    "before the first chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "within the chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 50\r\n\r\n<html>",
    "in HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhel",
}


class WebServer:
    """A TLS server in Python (OpenSSL) that replaces the environment's web server and breaks its responses."""

    def __init__(self, folder, host):
        certificate, key = certify(folder, host)
        self.ca_file = certificate
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.posts = []
        self.reply = b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                plain = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain):
        try:
            with self.context.wrap_socket(plain, server_side=True) as stream:
                reader = stream.makefile("rb")
                while line := reader.readline():
                    length = 0
                    while (field := reader.readline()) not in (b"\r\n", b""):
                        name, _, value = field.partition(b":")
                        if name.lower() == b"content-length":
                            length = int(value)
                    reader.read(length)
                    method, target = line.decode().split()[:2]
                    if method == "POST" and "/aws_mwaa/login" not in target:
                        self.posts.append(target)
                        stream.sendall(self.reply)
                        # no close_notify: the connection just dies
                        stream.unwrap = lambda: None
                        return
                    stream.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n"
                        b"Set-Cookie: session=s; Path=/\r\n\r\n<!DOCTYPE html>"
                    )
        except (OSError, ValueError):
            pass

    def close(self):
        self.listener.close()


@pytest.fixture(scope="module")
def stand(tmp_path_factory):
    folder = tmp_path_factory.mktemp("broken")
    with Emulator(folder) as emulator:
        server = WebServer(folder, emulator.host())
        config = emulator.config_for_one(connect_to=server.address, ca_file=str(server.ca_file))
        with Gateway(folder, config, **emulator.credentials()) as gateway, chromium() as browser:
            yield server, gateway, browser
        server.close()


# Reuses a connection that the page has already, as Chromium does before it sends again.
POST = """async ([url]) => {
    await (await fetch('/warm')).text();
    try {
        const reply = await fetch(url, {method: 'POST', body: 'x'});
        return [reply.status, await reply.text(), reply.headers.get('mwaa-gateway-fault')];
    } catch (error) {
        return [0, String(error), null];
    }
}"""


@pytest.mark.parametrize("how", BREAKS)
def test_a_browser_never_retries_a_post_after_a_broken_response(stand, how):
    server, gateway, browser = stand
    server.reply = BREAKS[how]
    faults = curl(f"{gateway.management}/status").json()["faults"].get("upstream.broken", 0)
    tab = Tab(browser, "broken")
    tab.page.goto(gateway.url + "/home")
    for turn in range(3):
        server.posts.clear()
        target = f"/api/v1/dags/x/dagRuns?turn={turn}"
        status, text, fault = tab.page.evaluate(POST, [target])
        assert server.posts == [target], f"{how}: sent {len(server.posts)} times"
        assert status == 0 or fault == "upstream.broken", (how, status, text)
    tab.close()
    told = curl(f"{gateway.management}/status").json()["faults"]["upstream.broken"]
    assert told == faults + 3, f"{how}: counted {told - faults} times"
