"""The UI of real Airflows in a real browser, through the gateway: one visit to each version, from
the bookmark to the way out."""

import pytest
from airflows import VERSIONS
from browser import Tab, secrets_in
from flows import DAG, Three, Two
from programs import eventually


class Visit:
    """A person at one environment."""

    def __init__(self, fleet, name, browser):
        self.airflow = fleet.ready(name)
        self.origin = fleet.url(name)
        self.tab = Tab(browser, name)
        flow = Two if self.airflow.major == 2 else Three
        self.ui = flow(self.tab, self.origin + "/")


    def step(self, name):
        """Keeps a picture of how the step ended."""
        self.tab.shot(name)

    def finds_no_session(self):
        """Nothing that a script can read is a session."""
        assert secrets_in(str(self.tab.script_sees())) == []
        assert secrets_in(str(self.tab.cookies())) == []
        sent = [value for reply in self.tab.replies for value in reply.headers.values()]
        assert secrets_in(str(sent)) == []


@pytest.fixture(params=VERSIONS)
def visit(request, fleet, browser):
    visit = Visit(fleet, request.param, browser)
    yield visit
    visit.step("end")
    visit.tab.write_traffic()
    visit.tab.close()


def test_a_visit_from_the_bookmark_to_the_way_out(visit):
    visit.ui.open()
    visit.ui.list_dags()
    visit.step("bookmark")

    visit.ui.open_grid()
    visit.ui.trigger()
    visit.ui.see_success()
    last = "select state from dag_run where dag_id = ? order by id desc limit 1"
    eventually(lambda: visit.airflow.query(last, DAG) == ["success"], "the run is done")
    visit.step("run")
    visit.ui.read_log()
    visit.step("log")

    visit.ui.pause()
    # and back, or no run of another test ever ends
    unpause = "update dag set is_paused = 0 where dag_id = ? and is_paused = 1 returning 1"
    assert visit.airflow.query(unpause, DAG) == [1]
    visit.ui.see_users()
    visit.step("users")
    assert visit.tab.failures() == []

    # a session that is killed between two clicks is not missed
    visit.airflow.kill_sessions()
    visit.ui.list_dags()
    visit.ui.open_grid()
    visit.ui.see_users()
    visit.finds_no_session()

    visit.ui.log_out()
    visit.tab.page.wait_for_load_state()
    assert visit.tab.page.url.startswith(visit.origin + "/")
    assert visit.tab.origins() == {visit.origin}
    assert len(visit.tab.requests) > 50
