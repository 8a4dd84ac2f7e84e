"""Each kind of store, as `mwaa-gateway check` sees it: TLS, the logins, and the errors that people get."""

import base64
import contextlib
import json
import re
import shlex
import socket
import ssl
import subprocess
import threading
from datetime import datetime
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from programs import BINARY, LAB, PATIENCE, ROOT, Gateway, certify, environment, eventually, toml
from stores import DynamoDb, Redis, serve_clients
from test_process import Clock

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "canary/secret+key"}


def configured(folder, store):
    key = folder / "fleet.key"
    key.write_text(base64.b64encode(bytes(32)).decode())
    key.chmod(0o600)
    aws = {"region": "eu-west-1", "endpoint_url": "http://127.0.0.1:9"}
    return {"aws": aws, "fleet": {**store, "key_file": str(key)}, "environments": {"prod": {}}}


def check(folder, store, **variables):
    """What the check says of the store: its lines up to the next result."""
    file = folder / "mwaa-gateway.toml"
    file.write_text(toml(configured(folder, store)))
    done = subprocess.run(
        [BINARY, "check", "--config", file],
        env=environment(folder, **{**KEYS, **variables}), capture_output=True, text=True, timeout=PATIENCE, check=False,
    )
    found = re.search(r"^.*fleet:.*(?:\n +hint:.*)?", done.stdout, re.M)
    assert found, done.stdout + done.stderr
    assert "canary" not in done.stdout + done.stderr
    return found[0]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_redis_over_tls_needs_a_certificate_that_is_trusted(tmp_path):
    authority, key = certify(tmp_path, "localhost")
    port = free_port()
    secure = ["--tls-port", port, "--tls-cert-file", authority, "--tls-key-file", key]
    with Redis(tmp_path / "redis", *secure, "--tls-auth-clients", "no") as redis:
        store, _ = redis.settings(f"rediss://gate@localhost:{port}")
        assert "can be used" in check(tmp_path, store, SSL_CERT_FILE=authority)
        assert redis.records(), "a record was written"
        said = check(tmp_path, store)
        assert "fleet.unavailable" in said and "unknown authority" in said and "SSL_CERT_FILE" in said, said
        # the certificate is not for this name
        other = {**store, "store": f"rediss://gate@127.0.0.1:{port}"}
        assert "fleet.unavailable" in check(tmp_path, other, SSL_CERT_FILE=authority)


class Cache:
    """ElastiCache with IAM: TLS, and logins whose signature botocore finds right. Redis does the rest."""

    def __init__(self, folder, redis):
        self.logins = []
        self.redis = redis
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certify(folder, "localhost"))
        self.port = serve_clients(self.serve)

    def serve(self, client):
        with contextlib.suppress(OSError), self.context.wrap_socket(client, server_side=True) as client:
            words = self.read_command(client.makefile("rb", buffering=0))
            self.logins.append(words)
            if not self.is_signed(words):
                return client.sendall(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(str(self.redis.socket))
                server.sendall(b"AUTH tester tester\r\n")
                client.sendall(server.recv(100))
                back = threading.Thread(target=self.pump, args=(server, client), daemon=True)
                back.start()
                self.pump(client, server)
        return None

    def read_command(self, stream):
        def line():
            return b"".join(iter(lambda: stream.read(1), b"\n")).strip()

        return [(line(), line().decode())[1] for _ in range(int(line()[1:]))]

    def pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def is_signed(self, words):
        auth, user, token = words
        asked = parse_qs(urlsplit(f"http://{token}").query)
        date = datetime.strptime(asked["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ")
        wanted = AWSRequest("GET", f"http://fleet-cache/?Action=connect&User={user}")
        keys = Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
        with patch("botocore.auth.get_current_datetime", lambda *_, **__: date):
            botocore.auth.SigV4QueryAuth(keys, "elasticache", "eu-west-1", expires=900).add_auth(wanted)
        place = token.partition("?")[0]
        return auth == "AUTH" and place == "fleet-cache/" and parse_qs(urlsplit(wanted.url).query) == asked


def test_elasticache_takes_the_aws_identity(tmp_path):
    with Redis(tmp_path / "redis") as redis:
        cache = Cache(tmp_path, redis)
        store = {"store": f"rediss://gate-1@localhost:{cache.port}?iam=fleet-cache"}
        trust = {"SSL_CERT_FILE": tmp_path / "tls.crt"}
        assert "can be used" in check(tmp_path, store, **trust)
        assert [words[1] for words in cache.logins] == ["gate-1"], "one login for all calls"
        assert redis.records()
        # another identity's signature
        said = check(tmp_path, store, **trust, AWS_SECRET_ACCESS_KEY="canary")
        assert "fleet.unavailable" in said and "allow elasticache:Connect" in said, said
        said = check(tmp_path, store, **trust, AWS_ACCESS_KEY_ID="")
        assert "fleet.unavailable" in said and "Connect for" in said, said


def test_a_login_to_elasticache_is_renewed_before_its_end(tmp_path):
    with Redis(tmp_path / "redis") as redis:
        cache = Cache(tmp_path, redis)
        config = configured(tmp_path, {"store": f"rediss://gate-1@localhost:{cache.port}?iam=fleet-cache"})
        clock = Clock(tmp_path)
        # the monotonic clocks jump too
        variables = {**clock.variables(), "FAKETIME_DONT_FAKE_MONOTONIC": "0", "SSL_CERT_FILE": tmp_path / "tls.crt"}
        with Gateway(tmp_path, config, **KEYS, **variables):
            eventually(redis.records, "it has announced itself")
            clock.set(10 * 3600)
            before = redis.records()
            eventually(lambda: redis.records() != before, "it has announced itself again")
            assert len(cache.logins) == 1
            clock.set(12 * 3600)
            eventually(lambda: len(cache.logins) == 2, "there is a second login")
            assert cache.logins[0] != cache.logins[1] and all(map(cache.is_signed, cache.logins))


def test_the_table_of_the_guide_is_what_the_gateway_needs(tmp_path):
    with DynamoDb(tmp_path / "store", create=False) as moto:
        store, variables = moto.settings()
        store = {"store": store["store"].replace("fleet", "mwaa-gateway")}
        said = check(tmp_path, store, **variables)
        assert "ResourceNotFoundException" in said and 'create the table "mwaa-gateway"' in said, said

        guide = (ROOT / "docs/operations/fleet.md").read_text()
        block = next(block for block in re.findall(r"```text\n(.*?)```", guide, re.S) if "create-table" in block)
        for command in block.replace("\\\n", " ").splitlines():
            program, *words = shlex.split(command)
            assert program == "aws"
            env = environment(tmp_path, AWS_DEFAULT_REGION="eu-west-1", AWS_ENDPOINT_URL=moto.url, **KEYS)
            argv = [LAB / "clients/bin/python", LAB / "clients/bin/aws", *words]
            subprocess.run(argv, env=env, capture_output=True, timeout=PATIENCE, check=True)
        assert "can be used" in check(tmp_path, store, **variables)
        life = moto.tables.describe_time_to_live(TableName="mwaa-gateway")["TimeToLiveDescription"]
        item = moto.tables.scan(TableName="mwaa-gateway")["Items"][0]
        assert int(item[life["AttributeName"]]["N"]) > 0 and life["TimeToLiveStatus"] == "ENABLED"


def test_credentials_that_take_longer_than_a_call_are_there_for_the_next(tmp_path):
    (tmp_path / ".aws").mkdir()
    keys = json.dumps({"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "canary"})
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\nsleep 1\necho '{keys}'\n")
    slow.chmod(0o700)
    (tmp_path / ".aws/config").write_text(f"[default]\ncredential_process = {slow}\n")
    with DynamoDb(tmp_path / "store") as moto:
        store, variables = moto.settings()
        assert "can be used" in check(tmp_path, store, **dict.fromkeys(KEYS, ""), **variables)
        before = moto.records()
        with Gateway(tmp_path, configured(tmp_path, store), **variables) as gateway:
            gateway.line("the store did not respond in time")
            eventually(lambda: moto.records() != before, "it has announced itself")


@pytest.mark.parametrize(
    ("code", "status", "hint"),
    [
        ("AccessDeniedException", 400, "the fleet needs dynamodb:GetItem and dynamodb:PutItem on arn:aws:dynamodb:"),
        ("ProvisionedThroughputExceededException", 400, "on-demand capacity"),
        ("ValidationException", 400, "needs the partition key `id`"),
        ("InternalServerError", 500, ""),
    ],
)
def test_what_dynamodb_refuses_is_explained(tmp_path, code, status, hint):
    """A server of a few lines, because moto refuses nothing of this."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        body = f'{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"said by the test"}}'
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close\r\n"
        calls = []

        def answer():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        calls.append(client.recv(65536))
                        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        said = check(tmp_path, {"store": "dynamodb://fleet"}, AWS_ENDPOINT_URL_DYNAMODB=url)
        assert code in said and hint in said, said
        assert len(calls) == 1, "it is not repeated"
        assert b"DynamoDB_20120810.GetItem" in calls[0] and b'"ConsistentRead":true' in calls[0]
