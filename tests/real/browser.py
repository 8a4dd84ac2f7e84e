"""A headless Chromium that remembers all that its pages ask for."""

import atexit
import re
from contextlib import contextmanager
from functools import cache
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright
from programs import SHOTS

# The browser must not send traffic of its own, and there is no GPU.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# How long a page may take on a busy machine, in milliseconds.
PATIENCE = 30_000


@cache
def playwright():
    """The one of this process, which can have no second one."""
    started = sync_playwright().start()
    atexit.register(started.stop)
    return started


@contextmanager
def chromium(*flags):
    browser = playwright().chromium.launch(
        executable_path="/usr/bin/chromium", args=[*FLAGS, *flags]
    )
    yield browser
    browser.close()


class Tab:
    """A page in a browser profile of its own, with a record of its requests and replies."""

    def __init__(self, browser, name):
        self.name = name
        self.context = browser.new_context(
            ignore_https_errors=True, viewport={"width": 1400, "height": 900}
        )
        self.context.set_default_timeout(PATIENCE)
        self.requests = []
        self.replies = []
        self.context.on("request", lambda request: self.requests.append(request))
        self.context.on("response", lambda reply: self.replies.append(reply))
        self.page = self.context.new_page()
        SHOTS.mkdir(exist_ok=True)

    def shot(self, step):
        self.page.screenshot(path=SHOTS / f"{self.name}-{step}.png")

    def write_traffic(self):
        """Writes all requests into a file beside the screenshots, to find the cause of a failure."""
        lines = [f"{reply.status} {reply.request.method} {reply.url}\n" for reply in self.replies]
        (SHOTS / f"{self.name}-traffic.txt").write_text("".join(lines))

    def origins(self):
        """The origins to which the pages have sent requests."""
        urls = [urlsplit(request.url) for request in self.requests]
        return {f"{url.scheme}://{url.netloc}" for url in urls if url.scheme not in ("data", "blob")}

    def script_sees(self):
        """All that a script on the page could read and send away."""
        return self.page.evaluate(
            """() => ({
                cookie: document.cookie,
                local: {...localStorage},
                session: {...sessionStorage},
            })"""
        )

    def cookies(self):
        return {cookie["name"]: cookie for cookie in self.context.cookies()}

    def failures(self):
        """The faults of the gateway, and the responses that report a missing login or right."""
        return [
            f"{reply.status} {reply.request.method} {reply.url}"
            for reply in self.replies
            if reply.status in (401, 403) or "mwaa-gateway-fault" in reply.headers
        ]

    def close(self):
        self.context.close()


def secrets_in(text):
    """What looks like a token or a session id of Airflow's."""
    jwt = r"eyJ[\w-]+\.[\w-]+\.[\w-]+"
    flask = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[\w-]{20,}"
    return re.findall(f"{jwt}|{flask}", text)
