"""What a person does in the UI of Airflow 2 and of Airflow 3, step by step."""

import re
from urllib.parse import quote

from browser import PATIENCE
from playwright.sync_api import expect

DAGS = ["lab_hello", "lab_params"]
DAG = DAGS[0]
expect.set_options(timeout=PATIENCE)


class Two:
    """Airflow 2: pages from the server, some of them alive."""

    SECRETS = [
        "variable/list/",
        "connection/list/",
        "configuration",
        f"rendered-templates?dag_id={DAG}&task_id=say",
    ]

    def __init__(self, tab, url):
        self.tab, self.page, self.url = tab, tab.page, url

    def open(self):
        self.page.goto(self.url)
        self.page.wait_for_url("**/home")

    def list_dags(self):
        self.page.get_by_role("link", name="DAGs", exact=True).click()
        for dag in DAGS:
            expect(self.page.get_by_role("link", name=dag, exact=True)).to_be_visible()

    def open_grid(self):
        self.page.get_by_role("link", name=DAG, exact=True).click()
        self.page.wait_for_url(f"**/dags/{DAG}/grid**")
        expect(self.page.get_by_test_id("greet")).to_be_visible()

    def trigger(self):
        if not self.page.locator("#pause_resume").is_checked():
            self._switch(on=True)
        self.page.get_by_label("Trigger DAG").click()
        self.page.wait_for_url("**dag_run_id=manual__**")

    def open_run(self, run):
        self.page.goto(f"{self.url}dags/{DAG}/grid?dag_run_id={quote(run)}")

    def try_to_trigger(self):
        self.page.get_by_label("Trigger DAG").click()
        expect(self.page.get_by_text("policy.read_only").first).to_be_visible()

    def go_to_variables(self):
        self.page.get_by_text("Admin", exact=True).first.click()
        self.page.get_by_role("link", name="Variables").click()
        expect(self.page.get_by_text("policy.read_only").first).to_be_visible()

    def see_success(self):
        expect(self.page.get_by_role("row", name=re.compile("Status.*success"))).to_be_visible()

    def read_log(self):
        self.page.get_by_test_id("task-instance").first.click()
        self.page.get_by_role("tab", name="Logs").click()
        expect(self.page.get_by_text("hi from bash").first).to_be_visible()

    def pause(self):
        self._switch(on=False)

    def _switch(self, on):
        with self.page.expect_response(lambda reply: "/paused?" in reply.url) as reply:
            self.page.locator(".switch-label").first.click()
        assert reply.value.status == 200
        expect(self.page.locator("#pause_resume")).to_be_checked(checked=on)

    def see_users(self):
        self.page.get_by_text("Security", exact=True).first.click()
        self.page.get_by_role("link", name="List Users").click()
        self.page.wait_for_url("**/users/list/")
        expect(self.page.get_by_text("assumed-role/Admin").first).to_be_visible()

    def log_out(self):
        self.page.locator(".navbar-right .dropdown-toggle").last.click()
        self.page.get_by_role("button", name="Log Out").click()


class Three:
    """Airflow 3: one page, the rest by script."""

    SECRETS = ["variables", "connections", "configs"]

    def __init__(self, tab, url):
        self.tab, self.page, self.url = tab, tab.page, url

    def open(self):
        self.page.goto(self.url)
        # comes with the rights of the user, after everything else in the menu
        expect(self.page.get_by_role("button", name="Security")).to_be_visible()

    def list_dags(self):
        link = self.page.get_by_role("link", name="Dags", exact=True)
        shown = [self.page.get_by_role("link", name=dag, exact=True).first for dag in DAGS]
        link.click()
        try:
            expect(shown[0]).to_be_visible()
        except AssertionError:
            # the page of the users loads its frame a second time, and forgets a click meanwhile
            link.click()
        for dag in shown:
            expect(dag).to_be_visible()

    def open_grid(self):
        self.page.get_by_role("link", name=DAG, exact=True).first.click()
        expect(self.page.get_by_role("link", name="Overview")).to_be_visible()
        expect(self.page.get_by_role("link", name="greet").first).to_be_visible()

    def trigger(self):
        self.page.get_by_label("Trigger Dag").first.click()
        self.page.get_by_role("button", name="Trigger", exact=True).last.click()
        self.page.wait_for_url("**/runs/manual__**")

    def open_run(self, run):
        self.page.goto(f"{self.url}dags/{DAG}/runs/{quote(run)}")

    def try_to_trigger(self):
        self.page.get_by_label("Trigger Dag").first.click()
        with self.page.expect_response(
            lambda reply: reply.request.method == "POST" and reply.url.endswith("/dagRuns")
        ) as reply:
            self.page.get_by_role("button", name="Trigger", exact=True).last.click()
        assert reply.value.status == 403
        expect(self.page.get_by_text("changes something").first).to_be_visible()

    def go_to_variables(self):
        self.page.get_by_role("button", name="Admin").click()
        with self.page.expect_response(lambda reply: "/api/v2/variables" in reply.url) as reply:
            self.page.get_by_role("menuitem", name="Variables").click()
        assert reply.value.status == 403
        expect(self.page.get_by_text("reads secrets").first).to_be_visible()

    def see_success(self):
        for task in ["say", "greet"]:
            done = re.compile(f"{task}.*success", re.I | re.S)
            expect(self.page.get_by_role("row", name=done)).to_be_visible()

    def read_log(self):
        self.page.locator('a[href*="/runs/manual__"][href*="/tasks/say"]').first.click()
        expect(self.page.get_by_text("hi from bash").first).to_be_visible()

    def pause(self):
        self.list_dags()
        switch = self.page.locator('[data-scope="switch"][data-part="root"]').first
        expect(switch).to_have_attribute("data-state", "checked")
        change = f"/api/v2/dags/{DAG}"
        with self.page.expect_response(
            lambda reply: reply.request.method == "PATCH" and reply.url.endswith(change)
        ) as reply:
            switch.click()
        assert reply.value.status == 200
        expect(switch).to_have_attribute("data-state", "unchecked")

    def see_users(self):
        self.page.get_by_role("button", name="Security").click()
        self.page.get_by_role("menuitem", name="Users").click()
        self.page.wait_for_url("**/security/users**")
        frame = self.page.frame_locator("iframe")
        expect(frame.get_by_text("assumed-role/Admin").first).to_be_visible()

    def log_out(self):
        self.page.get_by_role("button", name="User", exact=True).click()
        self.page.get_by_role("menuitem", name=re.compile("Log ?out")).click()
        self.page.get_by_role("button", name="Confirm").click()
