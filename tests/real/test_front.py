"""The emulator in front of real Airflows, without the gateway: a web token becomes a genuine
session for the role that the caller's identity maps to."""

import http.client
import json
import socket
import ssl
from urllib.parse import urlencode

import pytest
from airflows import VERSIONS


class Front:
    """An environment's web server as the emulator shows it."""

    def __init__(self, fleet, name):
        self.fleet, self.name = fleet, name
        self.airflow = fleet.ready(name)
        self.host = fleet.hosts[name]
        self.context = ssl.create_default_context(cafile=fleet.emulator.ca_file)
        self.api = f"/api/v{self.airflow.major - 1}"

    def ask(self, method, path, body=None, **headers):
        """Sends one request; returns the status, the headers and the body."""
        address = self.fleet.emulator.config["environments"][self.name]["connect_to"]
        ip, port = address.split(":")
        connection = http.client.HTTPSConnection(self.host, timeout=60)
        plain = socket.create_connection((ip, int(port)), timeout=60)
        connection.sock = self.context.wrap_socket(plain, server_hostname=self.host)
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        answer = reply.status, reply.headers, reply.read()
        connection.close()
        return answer

    def sign_in(self, role):
        """The headers that a client of this role sends, and the cookies they come from."""
        token = self.fleet.aws(role).create_web_login_token(Name=self.name)["WebToken"]
        path = "/aws_mwaa/login" if self.airflow.major == 2 else "/pluginsv2/aws_mwaa/login"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        status, headers, _ = self.ask("POST", path, urlencode({"token": token}), **form)
        assert status == 200
        cookies = [cookie.partition("; ") for cookie in headers.get_all("Set-Cookie")]
        cookies = {pair.partition("=")[0]: (pair, attributes) for pair, _, attributes in cookies}
        pairs = {"Cookie": "; ".join(pair for pair, _ in cookies.values())}
        if self.airflow.major == 3:
            bearer = cookies["_token"][0].partition("=")[2]
            pairs["Authorization"] = f"Bearer {bearer}"
        return pairs, {name: attributes for name, (_, attributes) in cookies.items()}


@pytest.fixture(params=VERSIONS, scope="module")
def front(fleet, request):
    return Front(fleet, request.param)


RIGHTS = {
    "Admin": "dags pause connections users",
    "Op": "dags pause connections",
    "User": "dags pause",
    "Viewer": "dags",
    "Public": "",
}


@pytest.mark.parametrize("role", RIGHTS)
def test_every_role_has_its_rights(front, role):
    session, _ = front.sign_in(role)
    users = f"{front.api}/users" if front.airflow.major == 2 else "/auth/fab/v1/users"
    pause = json.dumps({"is_paused": True})
    asked = {
        "dags": ("GET", f"{front.api}/dags", None),
        "pause": ("PATCH", f"{front.api}/dags/lab_params", pause),
        "connections": ("GET", f"{front.api}/connections", None),
        "users": ("GET", users, None),
    }
    found = {
        what: front.ask(*request, **session, **{"Content-Type": "application/json"})[0]
        for what, request in asked.items()
    }
    granted = RIGHTS[role].split()
    assert found == {what: 200 if what in granted else 403 for what in asked}


def test_cookies_have_the_attributes_of_mwaa(front):
    _, cookies = front.sign_in("Admin")
    assert all("Secure" in attributes for attributes in cookies.values())
    assert "HttpOnly" in cookies["session"]
    if front.airflow.major == 3:
        assert ("HttpOnly" in cookies["_token"]) == (front.airflow.version > "3.1")


def test_the_login_page_always_redirects(front):
    page = "/login/" if front.airflow.major == 2 else "/auth/login/"
    status, headers, _ = front.ask("GET", page)
    assert status == 302
    assert headers["Location"].startswith("https://eu-west-1.console.aws.amazon.com/")
    session, _ = front.sign_in("Viewer")
    status, headers, _ = front.ask("GET", page, Cookie=session["Cookie"])
    assert (status, headers["Location"]) in [(302, "/home"), (302, "/auth/")]


def test_identity_headers_of_clients_are_ignored(front):
    page = "/login/" if front.airflow.major == 2 else "/auth/login/"
    secret = (front.airflow.home / "front-secret").read_text()
    claims = {"X-Emulator-User": "mallory", "X-Emulator-Roles": "Admin", "X-Emulator-Secret": secret}
    for claim in [claims, {name.replace("-", "_"): value for name, value in claims.items()}]:
        status, headers, _ = front.ask("GET", page, **claim)
        assert status == 302 and "aws.amazon.com" in headers["Location"]
    assert front.airflow.query("select 1 from ab_user where username = 'mallory'") == []
