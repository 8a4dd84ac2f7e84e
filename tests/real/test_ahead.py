"""Fetches that a page starts in a browser before a click: prefetch, prerender, speculation rules.
None of them reaches an environment."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from browser import Tab, chromium
from programs import Emulator, Gateway, curl, eventually

# Each environment, its Airflow, and what it does with browsers.
PLACES = {
    "two": ("2.10.3", "proxy"),
    "three": ("3.3.1", "proxy"),
    "away": ("2.10.3", "redirect"),
    "far": ("3.3.1", "redirect"),
}

# Every address that does something for a mere GET: ends a session, makes one, makes a token.
EFFECTS = [
    ("two", "/logout/"),
    ("three", "/auth/logout/"),
    ("three", "/api/v2/auth/logout"),
    ("away", "/"),
    ("away", "/home"),
    ("away", "/aws_mwaa/aws-console-sso"),
    ("away", "/aws_mwaa/aws-console-sso?handover=1"),
    ("far", "/pluginsv2/aws_mwaa/aws-console-sso"),
]


class Pages(ThreadingHTTPServer):
    """Empty pages of another site, on another port. Records the requests for them."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Page)
        self.asked = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, host):
        return f"http://{host}:{self.server_port}"


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        purpose = self.headers["Sec-Purpose"] or self.headers["Purpose"]
        self.server.asked.append((self.path, purpose))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        page = b"<!DOCTYPE html><p>x</p>"
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pages():
    pages = Pages()
    yield pages
    pages.shutdown()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ahead")
    options = [
        word
        for name, (version, _) in PLACES.items()
        for word in ("--airflow-version", f"{name}={version}")
    ]
    with Emulator(folder, *options) as emulator:
        config = emulator.config
        for name, (_, browser) in PLACES.items():
            config["environments"][name]["browser"] = browser
        with Gateway(folder, config, **emulator.credentials()) as gateway:
            yield gateway


@pytest.fixture(scope="module")
def browser(gateway):
    with chromium() as browser:
        yield browser


def at(gateway, name):
    return f"http://{name}.localhost:{gateway.url.rsplit(':', 1)[1]}"


def sessions(gateway):
    """The environments that have a session, and all that was ever made or refused."""
    status = curl(f"{gateway.management}/status").json()
    live = {place["local"] for place in status["environments"] if place["session"]["live"]}
    return live, gateway.metric("mwaa_gateway_logins_total"), gateway.mints()


def refused(gateway):
    status = curl(f"{gateway.management}/status").json()
    return status["faults"].get("guard.foreign_origin", 0)


# Adds URLs to prefetch or prerender to a page: as speculation rules, or as links of the older kind.
RULES = """([kind, urls]) => {
    const rules = document.createElement('script');
    rules.type = 'speculationrules';
    rules.textContent = JSON.stringify({[kind]: [{source: 'list', urls, eagerness: 'immediate'}]});
    document.head.append(rules);
}"""
LINKS = """([kind, urls]) => {
    for (const url of urls) {
        const link = document.createElement('link');
        link.rel = kind;
        link.href = url;
        document.head.append(link);
    }
}"""

# The page's host: a foreign host, another port of localhost, the host of another environment.
HOSTS = {
    "a foreign page": lambda gateway, pages: pages.url("evil.localhost"),
    "another port of localhost": lambda gateway, pages: pages.url("localhost"),
    "another environment": lambda gateway, pages: at(gateway, "two"),
    "another environment of Airflow 3": lambda gateway, pages: at(gateway, "three"),
}


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    ("script", "kind"), [(RULES, "prefetch"), (RULES, "prerender"), (LINKS, "prefetch")]
)
def test_prefetches_have_no_effect(gateway, pages, browser, host, script, kind):
    for name in ("two", "three"):
        assert curl(f"{at(gateway, name)}/home").status in (200, 404)
    before = sessions(gateway)
    assert {"two", "three"} <= before[0]
    tab = Tab(browser, "ahead")
    page = HOSTS[host](gateway, pages)
    tab.page.goto(page + "/")
    before, count = sessions(gateway), refused(gateway)
    own = f"{pages.url('evil.localhost')}/control-{len(pages.asked)}"
    wishes = [at(gateway, name) + path for name, path in EFFECTS] + [own]
    tab.page.evaluate(script, [kind, wishes])
    if kind == "prefetch":
        # the browser really prefetches, so the other URLs were refused and not skipped
        eventually(lambda: any(
            own.endswith(path) and purpose for path, purpose in pages.asked if path != "/"), "a prefetch")
        eventually(lambda: refused(gateway) >= count + len(EFFECTS), "a refusal of each")
    tab.page.wait_for_load_state("networkidle")
    assert sessions(gateway) == before, f"{host}: {kind}"
    tab.close()


@pytest.mark.parametrize(("name", "path"), EFFECTS[:3])
def test_a_navigation_to_logout_signs_out(gateway, browser, name, path):
    """So that the tests above show a wall, and not routes without an effect."""
    assert curl(f"{at(gateway, name)}/home").status in (200, 404)
    assert name in sessions(gateway)[0]
    tab = Tab(browser, "ahead")
    tab.page.goto(at(gateway, name) + path)
    assert name not in sessions(gateway)[0]
    tab.close()
