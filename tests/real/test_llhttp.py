"""Airflow 3's web server (uvicorn, which reads HTTP with llhttp) reads the same requests through the gateway as it
reads directly. The gateway refuses what llhttp refuses.

The messages are ours. Their kinds are those of llhttp's own tests of requests."""

import contextlib
import json
import re
import socket
import ssl

import pytest
from programs import HERE, LAB, Emulator, Gateway, Program, certify, environment

PATH = "/api/v1/llhttp"
# Ends the connection, so that the test need not wait.
LAST = f"GET {PATH}/last HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n".encode()


def post(*fields, body=b""):
    """A POST with these fields as they are."""
    head = [f"POST {PATH} HTTP/1.1".encode(), b"Host: HOST", b"Content-Type: text/plain"]
    return b"\r\n".join([*head, *fields, b"", body])


def length(value, body=b"hello", name=b"Content-Length"):
    return post(name + b":" + value, body=body)


def coded(coding, body=b"5\r\nhello\r\n0\r\n\r\n"):
    return post(b"Transfer-Encoding:" + coding, body=body)


def chunked(body):
    return coded(b" chunked", body)


def line(text):
    return text.encode("latin-1") + b"\r\nHost: HOST\r\n\r\n"


# Messages that have one meaning.
CLEAR = {
    "each method": b"".join(line(f"{method} {PATH} HTTP/1.1") for method in ["GET", "HEAD", "DELETE"]),
    "a length": length(b" 5"),
    "a length with zeros": length(b" 005"),
    "a length between spaces": length(b"  5 \t"),
    "a length without a space": length(b"5"),
    "a length in other letters": length(b" 5", name=b"conTENT-LENGTH"),
    "a length of nothing": length(b" 0", b""),
    "lengths behind each other": length(b" 5") + length(b" 3", b"abc"),
    "a body in a GET": line(f"GET {PATH} HTTP/1.1")[:-2] + b"Content-Length: 5\r\n\r\nhello",
    "chunks": chunked(b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"),
    "chunks in upper case": chunked(b"A\r\n0123456789\r\n0\r\n\r\n"),
    "chunks in lower case": chunked(b"a\r\n0123456789\r\n0\r\n\r\n"),
    "chunks with zeros": chunked(b"005\r\nhello\r\n000\r\n\r\n"),
    "trailers": chunked(b"5\r\nhello\r\n0\r\nVary: *\r\nX-A: a\r\n\r\n"),
    "a coding in other letters": coded(b" CHUNKED"),
    "a value of 8 bits": post(b"X-A: D\xfcsseldorf \xff"),
    "a value with a tab": post(b"X-A: a\tb"),
    "an empty value": post(b"X-A:"),
    "an empty line before it": b"\r\n" + post(),
    "every character of a query": line(f"GET {PATH}?a=b&c=%20;/?:@!$'()*+,-._~ HTTP/1.1"),
    "an escaped path": line(f"GET {PATH}/a%2Fb%20c HTTP/1.1"),
    "a name of every character": post(b"X-!#$%&'*+.^`|~9: a"),
}
# Behind these comes no other request.
ENDING = {
    "HTTP/1.0": line(f"GET {PATH} HTTP/1.0"),
    "a close": line(f"GET {PATH} HTTP/1.1")[:-2] + b"Connection: close\r\n\r\n",
    "a close between other options": post(b"Connection: te,  Close"),
}

# Messages that llhttp refuses, at their first request or behind it.
REFUSED = {
    "two lengths": post(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"),
    "the same length twice": post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "a length too large for 64 bits": length(b" 1000000000000000000005"),
    "a negative length": length(b" -5"),
    "a length with a sign": length(b" +5"),
    "a length in hex": length(b" 0x5"),
    "a length with a space in it": length(b" 1 3"),
    "a list of lengths": length(b" 5, 5"),
    "an empty length": length(b""),
    "a length before chunks": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "a length behind chunks": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n"),
    "a length beside another coding": post(b"Transfer-Encoding: identity", b"Content-Length: 5", body=b"hello"),
    "an unknown coding": coded(b" pigeons"),
    "a coding behind chunked": coded(b" chunked, deflate"),
    "chunked in quotes": coded(b' "chunked"'),
    "chunked with a letter more": coded(b" xchunked"),
    "a chunk size in words": chunked(b"5 five\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with 0x": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a chunk size with a sign": chunked(b"+5\r\nhello\r\n0\r\n\r\n"),
    "an empty chunk size": chunked(b"\r\nhello\r\n0\r\n\r\n"),
    "a chunk size too large for 64 bits": chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a chunk longer than its size": chunked(b"4\r\nhello\r\n0\r\n\r\n"),
    "a chunk whose size ends with LF": chunked(b"5\nhello\r\n0\r\n\r\n"),
    "a chunk that ends with LF": chunked(b"5\r\nhello\n0\r\n\r\n"),
    "an empty extension": chunked(b"5;\r\nhello\r\n0\r\n\r\n"),
    "an extension with open quotes": chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n'),
    "lines that end with LF": post().replace(b"\r\n", b"\n"),
    "a line that ends with LF": post(b"X-A: a\nX-B: b"),
    "an empty value that ends with LF": post(b"X-A:\nTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "a CR between fields": post(b"X-A: a\rX-B: b"),
    "an empty value that ends with CR": post(b"X-A:\rTransfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "a CR before the end of the head": post()[:-2] + b"\rZGET /evil HTTP/1.1\r\nHost: HOST\r\n\r\n",
    "NUL in a value": post(b"X-A: a\0b"),
    "DEL in a value": post(b"X-A: a\x7fb"),
    "a name with @": post(b"X-@: a"),
    "a name with a control character": post(b"X-\1a: b"),
    "a name with 8 bits": post(b"X-\xe4: b"),
    "a name with a CR": post(b"Content\rLength: 5", body=b"hello"),
    "an empty name": post(b": a"),
    "a space before the colon": post(b"Content-Length : 5", body=b"hello"),
    "a name on two lines": post(b"X-A", b" : a"),
    "a value on two lines": post(b"X-A: a", b" b"),
    "a line without a colon": post(b"X-A"),
    "a space before the first field": b"POST %b HTTP/1.1\r\n Host: HOST\r\n\r\n" % PATH.encode(),
    "HTTP/5.6": line(f"GET {PATH} HTTP/5.6"),
    "HTTP/1.12": line(f"GET {PATH} HTTP/1.12"),
    "no number of a version": line(f"GET {PATH} HTTP/"),
    "ICE": line(f"GET {PATH} ICE/1.0"),
    "a letter before HTTP": line(f"GET {PATH} XHTTP/1.1"),
    "HTTP in lower case": line(f"GET {PATH} http/1.1"),
    "a method with @": line(f"G@T {PATH} HTTP/1.1"),
    "a method in lower case": line(f"get {PATH} HTTP/1.1"),
    "a tab behind the method": line(f"GET\t{PATH} HTTP/1.1"),
    "a space in the target": line(f"GET {PATH}/a b HTTP/1.1"),
    "a control character in the target": line(f"GET {PATH}/\1 HTTP/1.1"),
    "no target": line("GET HTTP/1.1"),
    "HTTP/2's first line": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

# Messages that llhttp reads, and the gateway refuses: other servers read them otherwise, or RFC 9112 forbids them.
STRICTER = {
    "two codings": coded(b" gzip, chunked"),
    "an extension": chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n"),
    "quotes in an extension": chunked(b'5;a="b;c"\r\nhello\r\n0\r\n\r\n'),
    "an underscore in a name": post(b"Content_Length: 5"),
    "a fragment": line(f"GET {PATH}#a HTTP/1.1"),
    "no version": line(f"GET {PATH}"),
    "another protocol": line(f"GET {PATH} RTSP/1.0"),
    "no Host": f"GET {PATH} HTTP/1.1\r\n\r\n".encode(),
}


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """uvicorn itself, and a gateway to it: how to connect to each."""
    folder = tmp_path_factory.mktemp("llhttp")
    with Emulator(folder) as emulator:
        host = emulator.host()
        certificate, key = certify(folder, host)
        argv = [LAB / "airflow332/bin/python", "-m", "uvicorn", "--http", "httptools", "--app-dir", HERE, "--port", "0"]
        argv += ["--ssl-keyfile", key, "--ssl-certfile", certificate, "reads:app"]
        with Program(argv, environment(folder), folder) as uvicorn:
            port = int(uvicorn.line(r"running on https://127\.0\.0\.1:(\d+)")[1])
            context = ssl.create_default_context(cafile=certificate)

            def directly():
                plain = socket.create_connection(("127.0.0.1", port), 60)
                return context.wrap_socket(plain, server_hostname=host)

            config = emulator.config_for_one(connect_to=f"127.0.0.1:{port}", ca_file=str(certificate), default=True)
            with Gateway(folder, config, **emulator.credentials()) as gateway:
                address = gateway.url.removeprefix("http://")

                def through_gateway():
                    host, port = address.split(":")
                    return socket.create_connection((host, int(port)), 60)

                yield (directly, host), (through_gateway, address)


def exchange(server, message):
    """Sends a message and a last request. Returns each response: what the server read, or its status and fault."""
    connect, host = server
    found = b""
    # one that refuses a message may close before it has read the rest
    with connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall((message + LAST).replace(b"HOST", host.encode()))
        while part := connection.recv(65536):
            found += part
    heads = re.findall(rb"HTTP/1\.[01] (\d{3})[^\r]*\r\n(.*?)\r\n\r\n", found, re.S)
    return [read(int(status), fields.decode("latin-1")) for status, fields in heads]


def read(status, fields):
    seen = re.search(r"^x-read: (.*?)\r?$", fields, re.M | re.I)
    if not seen:
        fault = re.search(r"^mwaa-gateway-fault: (\S+)", fields, re.M | re.I)
        return status, fault and fault[1]
    method, path, query, body = json.loads(seen[1])
    # the gateway drops the body of a GET, which has no meaning (RFC 9110 section 9.3.1)
    return method, path, query, body if method not in ("GET", "HEAD") else ""


def compare(servers, message):
    """The requests that uvicorn read directly, and those that it read through the gateway. Behind them, the status and
    fault of a refusal."""
    direct, through = (exchange(server, message) for server in servers)
    served = [answer for answer in through if isinstance(answer[0], str)]
    assert served == direct[: len(served)]
    return direct, through


def assert_refused(through):
    """One response, from the gateway itself, and not because it has waited for more."""
    assert len(through) == 1
    status, fault = through[0]
    assert status in (400, 501, 505) and fault.startswith("request."), through


@pytest.mark.parametrize("name", CLEAR)
def test_a_clear_message_has_the_same_meaning_behind_the_gateway(servers, name):
    direct, through = compare(servers, CLEAR[name])
    assert through == direct and len(direct) >= 2


@pytest.mark.parametrize("name", ENDING)
def test_both_read_the_end_of_a_connection(servers, name):
    direct, through = compare(servers, ENDING[name])
    assert through == direct and len(direct) == 1


@pytest.mark.parametrize("name", REFUSED)
def test_the_gateway_refuses_what_llhttp_refuses(servers, name):
    direct, through = compare(servers, REFUSED[name])
    assert direct == [(400, None)]
    assert_refused(through)


@pytest.mark.parametrize("name", STRICTER)
def test_the_gateway_refuses_more(servers, name):
    direct, through = compare(servers, STRICTER[name])
    assert isinstance(direct[0][0], str), "llhttp refuses it"
    assert_refused(through)
