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


@pytest.fixture(scope="module", params=VERSIONS)
def visit(request, fleet, browser):
    visit = Visit(fleet, request.param, browser)
    yield visit
    visit.tab.write_traffic()
    visit.tab.close()


@pytest.fixture(autouse=True)
def picture(request, visit):
    """A picture of how each step ended."""
    yield
    step = request.node.originalname.removeprefix("test_")
    visit.tab.shot(step)


def test_the_bookmark_opens_the_list_of_dags(visit):
    visit.ui.open()
    visit.ui.list_dags()


def test_a_run_is_triggered_in_the_grid_and_succeeds(visit):
    visit.ui.open_grid()
    visit.ui.trigger()
    visit.ui.see_success()
    last = "select state from dag_run where dag_id = ? order by id desc limit 1"
    eventually(lambda: visit.airflow.query(last, DAG) == ["success"], "the run is done")


def test_its_log_can_be_read(visit):
    visit.ui.read_log()


def test_a_dag_is_paused(visit):
    visit.ui.pause()
    assert visit.airflow.query("select is_paused from dag where dag_id = ?", DAG) == [1]


def test_the_users_are_shown_in_their_frame(visit):
    visit.ui.see_users()


def test_nothing_went_wrong_so_far(visit):
    assert visit.tab.failures() == []


def test_a_session_killed_between_two_clicks_is_not_missed(visit):
    visit.airflow.kill_sessions()
    visit.ui.list_dags()
    visit.ui.open_grid()
    visit.ui.see_users()


def test_scripts_find_no_session(visit):
    assert secrets_in(str(visit.tab.script_sees())) == []
    assert secrets_in(str(visit.tab.cookies())) == []
    sent = [value for reply in visit.tab.replies for value in reply.headers.values()]
    assert secrets_in(str(sent)) == []


def test_logging_out_ends_inside(visit):
    visit.ui.log_out()
    visit.tab.page.wait_for_load_state()
    assert visit.tab.page.url.startswith(visit.origin + "/")


def test_all_requests_went_to_the_gateway(visit):
    assert visit.tab.origins() == {visit.origin}
    assert len(visit.tab.requests) > 50
