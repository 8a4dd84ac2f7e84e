"""Real Airflows as they stand on MWAA: web server and scheduler behind the emulator's TLS, and
the gateway in front of all of them."""

import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from copy import deepcopy

import boto3
from programs import AIRFLOW, LAB, SHOTS, Emulator, Gateway, Program, Relay, environment

# The Python environment in tests/.lab, which is the name of the MWAA environment too.
VERSIONS = {"airflow2": "2.10.5", "airflow306": "3.0.6", "airflow332": "3.3.2"}

# For all of them at once on a busy machine; no start takes this long when all is well.
START = 120


class Part(Program):
    """One process of an Airflow, with the processes that it starts."""

    def __init__(self, airflow, words, env):
        super().__init__([AIRFLOW, words], env, airflow.home, start_new_session=True)

    def signal(self, number):
        os.killpg(self.process.pid, number)

    def stop(self):
        if self.running():
            self.signal(signal.SIGTERM)
            try:
                self.wait(15)
            except subprocess.TimeoutExpired:
                pass
        try:
            self.signal(signal.SIGKILL)  # what is left of the group
        except ProcessLookupError:
            pass
        super().stop()


class Airflow:
    """One Airflow: a copy of its home, a port, and the processes once it is started."""

    def __init__(self, name, folder, secret):
        self.name = name
        self.version = VERSIONS[name]
        self.major = int(self.version.split(".")[0])
        self.home = folder / name
        shutil.copytree(LAB / f"{name}-home", self.home)
        (self.home / "front-secret").write_text(secret)
        self.new_jwt_secret()
        self.database = self.home / "airflow.db"
        self.reserved = reserved_port()
        self.port = self.reserved.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.parts = []

    def command(self):
        """A program that runs this Airflow's command line, for any caller."""
        file = self.home / "command"
        file.write_text(f'#!/bin/sh\nAIRFLOW_HOME="{self.home}" exec "{AIRFLOW}" "$@"\n')
        file.chmod(0o755)
        return file

    def new_jwt_secret(self):
        (self.home / "jwt-secret").write_text(secrets.token_hex(32))

    def start(self, base_url):
        places = {"AIRFLOW_PORT": self.port, "AIRFLOW_BASE_URL": base_url}
        self.env = environment(self.home, AIRFLOW_HOME=self.home, **places)
        self.start_parts()

    def start_parts(self):
        names = ["web", "scheduler"] + ["dag-processor"] * (self.major > 2)
        self.parts = [Part(self, f"run-{name}", self.env) for name in names]

    def stop_parts(self):
        self.begin_to_stop()
        for part in self.parts:
            part.stop()

    def wait_until_healthy(self):
        path = "/health" if self.major == 2 else "/api/v2/monitor/health"
        deadline = time.monotonic() + START
        while not answers(self.url + path):
            for part in self.parts:
                assert part.running(), f"{part.argv} ended:\n{part.output()}"
            assert time.monotonic() < deadline, f"{self.name}: not healthy\n{self.output()}"
            time.sleep(0.1)

    def query(self, question, *values):
        """The first column of what the database says."""
        with sqlite3.connect(self.database, timeout=30) as database:
            return [row[0] for row in database.execute(question, values)]

    def kill_sessions(self):
        """Ends all sessions without a logout."""
        with sqlite3.connect(self.database, timeout=30) as database:
            database.execute("delete from session")
            if self.name == "airflow332":
                # the user of each token no longer exists; the next sign-in finds the name again
                database.execute("update ab_user set id = id + 1000")
                database.execute("update ab_user_role set user_id = user_id + 1000")
        if self.name == "airflow306":
            # its tokens cannot be revoked: it restarts with another secret, as after an update
            self.new_jwt_secret()
            self.stop_parts()
            self.start_parts()
            self.wait_until_healthy()

    def output(self):
        return "\n".join(f"# {part.argv}\n{part.output()}" for part in self.parts)

    def begin_to_stop(self):
        for part in self.parts:
            if part.running():
                part.signal(signal.SIGTERM)

    def stop(self):
        self.stop_parts()
        self.reserved.close()


class Fleet:
    """All versions behind one emulator and one gateway."""

    def __init__(self, folder):
        self.folder = folder
        self.started = time.monotonic()
        secret = secrets.token_hex(16)
        secret_file = folder / "front-secret"
        secret_file.write_text(secret)
        self.airflows = {name: Airflow(name, folder, secret) for name in VERSIONS}
        options = ["--airflow-secret-file", secret_file]
        for name, airflow in self.airflows.items():
            options += ["--airflow-version", f"{name}={airflow.version}"]
            options += ["--airflow-url", f"{name}={airflow.url}"]
            options += ["--airflow-bin", f"{name}={airflow.command()}"]
        self.emulator = self.gateway = None
        try:
            self.emulator = Emulator(folder, *options)
            self.hosts = {name: self.describe(name) for name in VERSIONS}
            for name, airflow in self.airflows.items():
                airflow.start(f"https://{self.hosts[name]}")
            config = deepcopy(self.emulator.config)  # other gateways may take the rest of it as it is
            free = "127.0.0.1:0"
            # each also has its own address, for clients that cannot resolve NAME.localhost
            for name in VERSIONS:
                config["environments"][name]["listen"] = free
            # a relay in front of each counts and keeps what clients send
            self.relays = {name: Relay() for name in VERSIONS}
            hosts = [relay.url.removeprefix("http://") for relay in self.relays.values()]
            config["listener"] = {"hosts": hosts}
            # and one more address for all of them, where nothing but reading is possible
            rules = {"address": free, "policy": "read-only"}
            config["listeners"] = {"readers": rules}
            for name in VERSIONS:
                config["listeners"][f"readers-of-{name}"] = {**rules, "environment": name}
            self.gateway = Gateway(folder, config, **self.emulator.credentials())
            self.reading = int(self.listener("policy read-only").rpartition(":")[2])
            self.own = {name: self.listener(f"only {name}") for name in VERSIONS}
            self.own_reading = {
                name: self.listener(f"only {name}, policy read-only") for name in VERSIONS
            }
            for name, relay in self.relays.items():
                relay.lead_to(self.own_url(name))
        except BaseException:
            self.stop()
            raise

    def listener(self, what):
        """The address of the gateway's listener of this kind."""
        return self.gateway.line(rf"^listening on http://(\S+) \({what}\)$")[1]

    def aws(self, role="Admin", endpoint=None):
        """A boto3 client of MWAA for the emulator or another endpoint, with the keys of this role."""
        key, secret = self.emulator.keys[role]
        return boto3.client(
            "mwaa",
            region_name=self.emulator.region,
            endpoint_url=endpoint or self.emulator.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=boto3.session.Config(inject_host_prefix=False, retries={"max_attempts": 1}),
        )

    def describe(self, name):
        url = self.aws().get_environment(Name=name)["Environment"]["WebserverUrl"]
        return url.removeprefix("https://")

    def url(self, name):
        """An environment's own address at the gateway, as a browser writes it."""
        return f"http://{name}.localhost:{self.gateway.url.rsplit(':', 1)[1]}"

    def own_url(self, name):
        """The address of an environment's own listener."""
        return f"http://{self.own[name]}"

    def own_reading_url(self, name):
        """The address of a read-only listener that serves this environment alone."""
        return f"http://{self.own_reading[name]}"

    def reading_url(self, name):
        """Its address at the listener that is read-only."""
        return f"http://{name}.localhost:{self.reading}"

    def ready(self, name):
        """The Airflow of this name, once it answers."""
        airflow = self.airflows[name]
        airflow.wait_until_healthy()
        return airflow

    def stop(self):
        """Stops everything, and writes the output of each Airflow into the folder of the screenshots."""
        for airflow in self.airflows.values():
            airflow.begin_to_stop()  # all of them at the same time
        for program in [self.gateway, self.emulator, *self.airflows.values()]:
            if program:
                program.stop()
        SHOTS.mkdir(exist_ok=True)
        for name, airflow in self.airflows.items():
            (SHOTS / f"{name}-output.txt").write_text(airflow.output())


def reserved_port():
    """A socket whose port a server may take over (SO_REUSEADDR, and it does not listen), and that
    no program gets that asks for any free one."""
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except (OSError, urllib.error.HTTPError):
        return False
