"""What a person does in the UI of Airflow 2 and of Airflow 3, step by step."""

import re

from browser import PATIENCE
from playwright.sync_api import expect

DAG = "lab_hello"
expect.set_options(timeout=PATIENCE)


class Two:
    """Airflow 2: pages from the server, some of them alive."""

    def __init__(self, tab, url):
        self.tab, self.page, self.url = tab, tab.page, url

    def open(self):
        self.page.goto(self.url)
        self.page.wait_for_url("**/home")

    def sees_dags(self):
        for dag in [DAG, "lab_params"]:
            expect(self.page.get_by_role("link", name=dag, exact=True)).to_be_visible()

    def open_grid(self):
        self.page.get_by_role("link", name=DAG, exact=True).click()
        self.page.wait_for_url(f"**/dags/{DAG}/grid**")
        expect(self.page.get_by_test_id("greet")).to_be_visible()

    def _switch(self, on):
        with self.page.expect_response(lambda reply: "/paused?" in reply.url) as reply:
            self.page.locator(".switch-label").first.click()
        assert reply.value.status == 200
        expect(self.page.locator("#pause_resume")).to_be_checked(checked=on)

    def pause(self):
        self._switch(on=False)

    def trigger(self):
        self._switch(on=True)
        self.page.get_by_label("Trigger DAG").click()
        self.page.wait_for_url("**dag_run_id=manual__**")

    def sees_success(self):
        expect(self.page.get_by_role("row", name=re.compile("Status.*success"))).to_be_visible()

    def read_log(self):
        self.page.get_by_test_id("task-instance").first.click()
        self.page.get_by_role("tab", name="Logs").click()
        expect(self.page.get_by_text("hi from bash").first).to_be_visible()

    def security(self):
        """The page that lists the users; it is an ordinary page here."""
        self.page.get_by_text("Security", exact=True).click()
        self.page.get_by_role("link", name="List Users").click()
        self.page.wait_for_url("**/users/list/")
        return self.page.main_frame

    def reads_again(self):
        """A click that needs a session, on a page that is open already."""
        self.page.get_by_role("link", name="Airflow 2").or_(
            self.page.get_by_role("link", name="DAGs", exact=True)
        ).first.click()
        self.sees_dags()

    def log_out(self):
        self.page.locator(".navbar-user-icon, #navbar-user, .navbar-right .dropdown").last.click()
        self.page.get_by_role("link", name="Log Out").click()


class Three:
    """Airflow 3: one page, the rest by script."""

    def __init__(self, tab, url):
        self.tab, self.page, self.url = tab, tab.page, url

    def open(self):
        self.page.goto(self.url)
        expect(self.page.get_by_role("link", name="Dags").first).to_be_visible()

    def sees_dags(self):
        self.page.get_by_role("link", name="Dags").first.click()
        for dag in [DAG, "lab_params"]:
            expect(self.page.get_by_role("link", name=dag, exact=True).first).to_be_visible()

    def open_grid(self):
        self.page.get_by_role("link", name=DAG, exact=True).first.click()
        self.page.wait_for_url(f"**/dags/{DAG}**")
        expect(self.page.get_by_role("link", name="greet").first).to_be_visible()

    def trigger(self):
        self.page.get_by_role("button", name="Trigger").last.click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Trigger").last.click()
        expect(dialog).to_be_hidden()

    def sees_success(self):
        self.page.get_by_role("link", name="Runs").last.click()

    def read_log(self):
        pass

    def log_out(self):
        pass
