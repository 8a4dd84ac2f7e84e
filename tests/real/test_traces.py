"""Traces, as a real collector (rotel) reads them."""

import re
import socket
import subprocess

import pytest
from programs import LAB, Emulator, Gateway, Program, curl, environment, eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"

# The steps of a request for the REST API, and the request itself.
SPANS = {"GET rest", "admission", "routing", "policy", "auth", "upstream", "response"}


class Collector(Program):
    """A collector that prints every span."""

    def __init__(self, folder):
        agent = next(LAB.glob("rotel/lib/python3*/site-packages/rotel/rotel-agent"))
        self.addresses = {protocol: free_address() for protocol in ("grpc", "http")}
        argv = [agent, "start", "--exporter", "blackhole", "--debug-log", "traces"]
        argv += ["--debug-log-verbosity", "detailed", "--pid-file", folder / "rotel.pid"]
        argv += ["--log-file", folder / "rotel.log"]
        for protocol, address in self.addresses.items():
            argv += [f"--otlp-{protocol}-endpoint", address]
        super().__init__(argv, environment(folder), folder)
        for address in self.addresses.values():
            eventually(lambda address=address: is_open(address), f"{address} is open")


def free_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def is_open(address):
    host, port = address.split(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_collector_gets_the_spans_of_a_request(protocol, tmp_path):
    with Collector(tmp_path) as collector, Emulator(tmp_path) as emulator:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.addresses[protocol]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": {"grpc": "grpc", "http": "http/protobuf"}[protocol],
            "OTEL_SERVICE_NAME": "gateway-of-the-test",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with Gateway(tmp_path, emulator.config_for_one(), **emulator.credentials(), **variables) as gateway:
            reply = curl(f"{gateway.url}/api/v1/dags", [f"traceparent: 00-{TRACE}-{CALLER}-01"])
            assert reply.status == 200
            said = eventually(lambda: find_spans(collector), "all spans have come")
    assert "gateway-of-the-test" in said
    assert TRACE in said and CALLER in said
    assert re.search(r"http\.response\.status_code\W.*200", said)


def find_spans(collector):
    said = "\n".join(collector.lines)
    return said if all(name in said for name in SPANS) else None
