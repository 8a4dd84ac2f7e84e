"""A read-only listener in front of real Airflows: every route of theirs is known to the gateway,
nothing that changes or shows secrets passes, and the UI can be browsed all the same."""

import http.client
import json
import re
import subprocess
from collections import defaultdict
from functools import cached_property

import pytest
from airflows import VERSIONS
from browser import Tab
from flows import DAG, Three, Two
from playwright.sync_api import expect
from programs import AIRFLOW, HERE, curl, eventually

CANARY = "hunter2-canary"

# Unsafe methods that only ask. All others change something.
QUERIES = {
    "/blocked", "/dag_stats", "/last_dagruns", "/next_run_datasets_summary", "/task_stats",
    "/api/v1/dags/~/dagRuns/list", "/api/v1/dags/~/dagRuns/~/taskInstances/list",
    "/api/v2/dags/{dag_id}/dagRuns/list",
    "/api/v2/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/list",
}  # fmt: skip

# Catch-all routes: they return nothing, or the empty page.
NOTHING = {"/api/{_:path}", "/api/v1/{_:path}", "/{rest_of_path:path}"}

# Routes with these words show secrets, except the form of connections and the settings of the UI.
SECRETS = re.compile(r"variable|connection|config|rendered|execution", re.I)
NO_SECRETS = {"/ui/config", "/ui/connections/hook_meta"}

# Routes with these words may change something, even with a GET.
CHANGES = re.compile(r"/(delete|edit|action|add|reset\w*|userinfoedit\w*)(/|$)", re.I)


class Reader:
    """A client of the read-only listener, with a persistent connection."""

    def __init__(self, fleet, name):
        self.port, self.host = fleet.reading, f"{name}.localhost:{fleet.reading}"
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None, **headers):
        """The status, the gateway's reason for a refusal, and the text."""
        headers = {"Host": self.host, **headers}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError):
            self.connection.close()
            self.connection.request(method, path, body, headers)
            reply = self.connection.getresponse()
        text = reply.read().decode("utf-8", "replace")
        if reply.headers["mwaa-gateway-fault"] == "policy.read_only" and method == "HEAD":
            return reply.status, "refused, without words", text
        if reply.headers["mwaa-gateway-fault"] == "policy.read_only":
            return reply.status, json.loads(text)["detail"].split(";")[0], text
        # Flask-AppBuilder redirects a user who lacks a right to its login page
        fault = reply.headers["mwaa-gateway-fault"]
        assert fault in (None, "session.login_loop"), (method, path, text)
        return reply.status, None, text


class Place:
    """One Airflow with a finished run, and secrets that only its owner should see."""

    def __init__(self, fleet, name):
        self.fleet, self.name = fleet, name
        self.airflow = fleet.ready(name)
        self.api = "/api/v1" if self.airflow.major == 2 else "/api/v2"
        self.post("/variables", {"key": "canary", "value": CANARY})
        kind = {"connection_id": "canary", "conn_type": "http"}
        self.post("/connections", {**kind, "host": CANARY, "login": CANARY})
        self.run = self.trigger()
        state = "select state from dag_run where run_id = ?"
        eventually(lambda: self.airflow.query(state, self.run) == ["success"], "the run is done")
        # as if its template had used the variable
        self.airflow.query(
            "update rendered_task_instance_fields set rendered_fields = ? where run_id = ? returning 1",
            json.dumps({"bash_command": CANARY}), self.run,
        )  # fmt: skip
        self.reader = Reader(fleet, name)

    def post(self, path, body):
        url = self.fleet.own_url(self.name) + self.api + path
        reply = curl(url, ["Content-Type: application/json"], json.dumps(body))
        assert reply.status in (200, 201), reply
        return reply.json()

    def trigger(self):
        body = {} if self.airflow.major == 2 else {"logical_date": None}
        return self.post(f"/dags/{DAG}/dagRuns", body)["dag_run_id"]

    @cached_property
    def routes(self):
        """Each path with its methods."""
        done = subprocess.run(
            [AIRFLOW, "run-python", HERE / "routes.py"], env=self.airflow.env, capture_output=True, text=True,
            timeout=120, check=True,
        )  # fmt: skip
        paths = defaultdict(set)
        for line in done.stdout.splitlines():
            if re.fullmatch(r"[A-Z]+\t/\S*", line):
                method, path = line.split("\t")
                paths[path].add(method)
        assert len(paths) > 150, done.stdout + done.stderr
        return paths

    def filled(self, route):
        """A path that the route takes: of the run that is done, where it names one."""
        known = {
            "dag_id": DAG, "dag_run_id": self.run, "run_id": self.run, "task_id": "say",
            "map_index": "-1", "task_try_number": "1", "try_number": "1", "pk": "1",
            "variable_key": "canary", "connection_id": "canary", "xcom_key": "return_value",
            "section": "core", "option": "fernet_key", "pool_name": "default_pool",
        }  # fmt: skip

        def fill(found):
            name = re.split(r"[:]", found[0].strip("<>{}"))
            name = name[-1] if found[0].startswith("<") else name[0]
            return known.get(name, "1")

        return re.sub(r"<[^>]*>|\{[^}]*\}", fill, route)


@pytest.fixture(scope="module", params=VERSIONS)
def place(request, fleet):
    return Place(fleet, request.param)


def test_every_route_is_classified_and_none_changes_or_shows_secrets(place):
    reader, seen = place.reader, defaultdict(set)
    for route, methods in sorted(place.routes.items()):
        path = place.filled(route)
        if path in ("/login/", "/logout/", "/auth/login/", "/auth/logout", "/auth/logout/") or (
            path.startswith(("/api/v2/auth/", "/auth/token")) or path.endswith("/security/login")
        ):
            continue  # these the gateway answers itself
        for method in sorted(methods):
            if path == "/ui/auth/token":
                continue  # passes nowhere
            if method in ("HEAD", "OPTIONS"):
                continue  # as the GET, but without words
            body = "{}" if method in ("POST", "PUT", "PATCH") else None
            status, why, text = reader.ask(method, path, body)
            what = f"{method} {route}"
            assert CANARY not in text, f"{what} shows a secret"
            if method != "GET":
                if method == "POST" and route in QUERIES:
                    assert why is None, f"{what}: {why}"
                else:
                    assert why and why.endswith("changes something"), f"{what}: {status}: {why}"
                continue
            if route in NOTHING:
                assert why is None or "not known to be read-only" in why, what
                continue
            assert why is None or "not known to be read-only" not in why, f"no rule knows {what}"
            seen[why and why.split()[0] + " " + why.split()[1]].add(route)
            if SECRETS.search(route) and route not in NO_SECRETS:
                assert why and "secrets" in why, f"{what} is not closed: {status}"
            elif CHANGES.search(route) and "/api/column/" not in route:
                assert why, f"{what} is not closed"
    passed, closed = len(seen[None]), sum(map(len, seen.values())) - len(seen[None])
    assert passed > 60 and closed > 20, (passed, closed)


def test_no_login_route_of_airflow_gets_a_password(place):
    """Whatever its routes call a login or a token is answered by the gateway."""
    seen = []
    for route, methods in place.routes.items():
        if "POST" not in methods or not re.search(r"/(login|token)\b", route):
            continue
        url = place.fleet.own_url(place.name) + place.filled(route)
        reply = curl(url, ["Content-Type: application/json"], json.dumps({"password": CANARY}))
        ours = reply.status in (201, 303) or "mwaa-gateway-fault" in reply.headers
        assert ours and "server" not in reply.headers, (route, reply)
        seen.append(route)
    if place.airflow.major > 2:
        assert {"/auth/token", "/auth/token/cli", "/auth/api/v1/security/login"} <= set(seen)
    assert CANARY not in place.fleet.gateway.output()


def test_redacted_values_exist_without_the_policy(place):
    """The secrets are real: the same questions show them where everything passes."""
    instance = f"/dags/{DAG}/dagRuns/{place.run}/taskInstances/say"
    for path in ["/variables/canary", "/connections/canary", instance]:
        whole = curl(place.fleet.own_url(place.name) + place.api + path)
        assert CANARY in whole.text(), whole
    status, why, text = place.reader.ask("GET", place.api + instance)
    assert (status, why) == (200, None), text
    # as it is but for one value
    reply = curl(place.fleet.own_url(place.name) + place.api + instance).json()
    assert {**reply, "rendered_fields": {}} == json.loads(text)
    for path in [f"/dags/{DAG}/dagRuns/{place.run}/taskInstances"]:
        status, why, text = place.reader.ask("GET", place.api + path)
        assert (status, why) == (200, None) and '"rendered_fields"' in text, text


def test_disguised_paths_are_refused(place):
    api = place.api
    for path in [
        "/variable/list", "/variable/list/?x=1", "/variable//list/", "/VARIABLE/list/",
        "/variable/list/.", "/x/../variable/list/", "/x/%2e%2e/variable/list/", "/variable%2flist/",
        "/%76ariable/list/", "/variable/list/;x", "/variable/list/%3b", "/variable/list/%20",
        "//variable/list/", "/static/../variable/list/", "/static/%2e%2e/variable/list/",
        "/static/..%2fvariable/list/", "/home/../variable/list/", "/./configuration",
        f"{api}/variables/", f"{api}/variables/canary/", f"{api}/%76ariables/canary",
        f"{api}//variables/canary", f"{api}/%2Fvariables/canary", f"{api}%2Fvariables/canary",
        f"{api}/dags/../variables/canary", f"{api}/dags/%2e%2e/variables/canary",
        f"{api}/dags/x%2F..%2F..%2Fvariables/canary", f"{api}/pools/..%2Fvariables%2Fcanary",
        f"{api}/Variables/canary", f"{api}/variables/canary;x", f"{api}/variables/canary?x=/home",
        f"{api}/connections/canary%2F", f"{api}/config?section=core", "/rendered-templates/",
        f"{api}/%252Fvariables/canary", f"{api}/variables%252Fcanary", f"{api}/variables%5Ccanary",
        f"{api}/dags/%252e%252e/variables/canary", f"{api}/dags/..%5Cvariables%5Ccanary",
        f"{api}/dags/..;/variables/canary", f"{api}/variables//canary", f"{api}//config",
        f"{api}/pools/x//..%2F..%2Fvariables/canary", f"{api}/%2576ariables/canary",
        f"/rendered-templates?dag_id={DAG}&task_id=say&execution_date={place.run[8:]}",
    ]:  # fmt: skip
        for method in ["GET", "HEAD", "OPTIONS"]:
            place.reader.connection.close()
            connection = http.client.HTTPConnection("127.0.0.1", place.fleet.reading, timeout=60)
            connection.request(method, path, headers={"Host": place.reader.host})
            reply = connection.getresponse()
            text = reply.read().decode("utf-8", "replace")
            assert reply.headers["mwaa-gateway-fault"], f"{method} {path}: {reply.status}: {text}"
            assert CANARY not in text
            connection.close()


def test_only_reading_commands_are_allowed(place):
    for command, passes in [
        ("dags list", True),
        ("variables get canary", False),
        ("variables list", False),
        ("tasks render lab_hello say 2024-01-01", False),
        ("variables set canary x", False),
        ("dags pause lab_hello", False),
    ]:
        plain = {"Content-Type": "text/plain"}
        reader = http.client.HTTPConnection("127.0.0.1", place.fleet.reading, timeout=120)
        reader.request("POST", "/aws_mwaa/cli", command, {"Host": place.reader.host, **plain})
        reply = reader.getresponse()
        fault = reply.headers["mwaa-gateway-fault"]
        text = reply.read().decode()
        assert (fault is None) == passes, f"{command}: {text}"
        assert CANARY not in text
        if not passes:
            assert "[listeners.readers]" in text, text


@pytest.fixture
def visit(place, browser):
    tab = Tab(browser, f"{place.name}-reading")
    flow = Two if place.airflow.major == 2 else Three
    yield flow(tab, place.fleet.reading_url(place.name) + "/")
    tab.shot("end")
    tab.write_traffic()
    tab.close()


def test_the_ui_can_be_browsed_and_changes_and_secrets_are_refused_in_it(place, visit):
    visit.open()
    visit.list_dags()
    visit.open_grid()
    visit.open_run(place.run)
    visit.see_success()
    visit.read_log()
    visit.tab.shot("log")
    assert visit.tab.failures() == []

    # the trigger button gets a refusal
    runs = "select count(*) from dag_run where dag_id = ?"
    before = place.airflow.query(runs, DAG)
    visit.list_dags()
    visit.open_grid()
    visit.try_to_trigger()
    visit.tab.shot("trigger")
    assert place.airflow.query(runs, DAG) == before

    # so does a way to secrets within the UI, and it can be left
    visit.open()
    visit.go_to_variables()
    assert CANARY not in visit.page.content()
    visit.open()
    visit.list_dags()

    # pages of secrets are the gateway's own
    for path in visit.SECRETS:
        reply = visit.page.goto(visit.url + path)
        assert reply.status == 403, path
        expect(visit.page.get_by_text("policy.read_only").first).to_be_visible()
        assert CANARY not in visit.page.content()


def test_handover_is_refused(place):
    status, why, text = place.reader.ask("GET", "/aws_mwaa/aws-console-sso?handover=1")
    assert status == 403 and "redirected to AWS" in why, text
