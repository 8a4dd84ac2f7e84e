"""The metrics, alerts and dashboard, with a real Prometheus that scrapes a gateway."""

import json
import re
import socket
import subprocess
from urllib.parse import urlencode

import pytest
from programs import HERE, LAB, ROOT, Program, curl, environment, eventually

PROMETHEUS = LAB / "prometheus/usr/bin/prometheus"
PROMTOOL = LAB / "prometheus/usr/bin/promtool"
SDK = LAB / "grafana/bin/python"
ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
DASHBOARD = ROOT / "deploy/grafana/dashboard.json"

CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: mwaa-gateway
    static_configs:
      - targets: [{target}]
"""

# What Grafana puts in the place of its variables.
VARIABLES = {"$__rate_interval": "10s", "$environment": ".*"}


def promtool(*words, text=None):
    """Runs promtool. Fails if it does, with what it said."""
    done = subprocess.run(
        [PROMTOOL, *words], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus(Program):
    """A Prometheus that scrapes a gateway each second."""

    def __init__(self, home, gateway):
        (home / "prometheus.yml").write_text(CONFIG.format(target=gateway.management.removeprefix("http://")))
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "127.0.0.1:%d" % free.getsockname()[1]
        self.url = f"http://{address}/api/v1"
        options = {
            "config.file": home / "prometheus.yml",
            "storage.tsdb.path": home / "data",
            "web.listen-address": address,
        }
        argv = [PROMETHEUS, *(f"--{name}={value}" for name, value in options.items())]
        super().__init__(argv, environment(home), home)
        try:
            self.line("Server is ready to receive web requests")
        except BaseException:
            self.stop()
            raise

    def ask(self, path, **query):
        reply = curl(f"{self.url}/{path}?{urlencode(query)}").json()
        assert reply["status"] == "success", reply
        return reply["data"]

    def values(self, expression):
        """The present values of a query, without those that are no number."""
        found = [float(each["value"][1]) for each in self.ask("query", query=expression)["result"]]
        return [value for value in found if value == value]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, gateway):
    with Prometheus(tmp_path_factory.mktemp("prometheus"), gateway) as prometheus:
        yield prometheus


def use(gateway):
    """One request of each kind that the dashboard has a graph for."""
    assert gateway.cli("version").status == 200
    assert gateway.cli("users list").status == 403
    assert curl(f"{gateway.url}/api/v1/dags").status == 200


def queries():
    """The queries of the dashboard by their panels, without Grafana's variables."""
    found = []
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            found.append((panel["title"], expression))
    # test_fleet.py has a fleet
    return [query for query in found if "mwaa_gateway_fleet_" not in query[1]]


def test_the_metrics_have_no_lint(gateway):
    use(gateway)
    reply = curl(f"{gateway.management}/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    promtool("check", "metrics", text=reply.text())


def test_the_alerts_fire_when_they_should():
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", HERE / "alerts.yaml")
    named = re.findall(r"^ +- alert: (\w+)$", ALERTS.read_text(), re.M)
    tested = re.findall(r"^ +alertname: (\w+)\n +exp_alerts:$", (HERE / "alerts.yaml").read_text(), re.M)
    assert sorted(named) == sorted(set(tested))


def test_prometheus_scrapes_open_metrics(gateway, prometheus):
    use(gateway)

    def targets():
        found = prometheus.ask("targets")["activeTargets"]
        return [(target["health"], target["lastError"]) for target in found]

    eventually(lambda: targets() not in ([], [("unknown", "")]), "a scrape")
    assert targets() == [("up", "")]
    metadata = prometheus.ask("metadata")
    types = {name: (entries[0]["type"], entries[0]["unit"]) for name, entries in metadata.items()}
    assert types["mwaa_gateway_requests"] == ("counter", "")
    assert types["mwaa_gateway_request_duration_seconds"] == ("histogram", "seconds")
    assert types["process_resident_memory_bytes"] == ("gauge", "bytes")


def test_the_dashboard_is_one_of_grafana(tmp_path):
    checked = subprocess.run(
        [SDK, HERE / "dashboard_model.py", DASHBOARD], capture_output=True, text=True, timeout=60, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stdout + checked.stderr
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {"${datasource}"}

    # no panel lies on another, and none is outside
    cells = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["w"])
        for y in range(place["h"])
    ]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24


def test_every_query_of_the_dashboard_has_data(gateway, prometheus):
    missing = dict.fromkeys(queries())
    assert len(missing) > 20

    def complete():
        use(gateway)
        for query in list(missing):
            if prometheus.values(query[1]):
                del missing[query]
        return not missing

    try:
        eventually(complete, "data for each query")
    except AssertionError:
        raise AssertionError(f"no data: {list(missing)}") from None
    names = prometheus.ask("label/environment/values")
    assert names == ["demo"]


def test_the_alerts_of_a_gateway_that_works_are_silent(gateway, prometheus):
    """Their expressions, with what a real gateway exposes."""
    use(gateway)
    eventually(lambda: prometheus.values("mwaa_gateway_build_info"), "the first scrape")
    for expression in re.findall(r"^ +expr: ([^|\n].*)$", ALERTS.read_text(), re.M):
        assert prometheus.values(expression) == [], expression
