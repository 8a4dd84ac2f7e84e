"""The programs that the MWAA User Guide documents, in front of real Airflows. Only the variables of
the endpoint are set, and the names that the guide asks to fill in."""

import re

import pytest
from programs import HERE

DAG = "lab_params"


@pytest.fixture
def sample(shell, secure):
    """Runs a sample with its names filled in. Returns what it printed."""

    def run(file, name, *arguments):
        text = (HERE / "samples" / file).read_text()
        names = {"YOUR_ENVIRONMENT_NAME": name, "YOUR_DAG_NAME": DAG, "YOUR_HOST_NAME": secure.host}
        for word, value in names.items():
            text = text.replace(word, value)
        (shell.folder / file).write_text(text)
        program = "bash" if file.endswith(".sh") else "python3"
        return shell.succeed(" ".join([program, file, *arguments]), **secure.variables())

    return run


def runs(airflow):
    return airflow.query("select count(*) from dag_run where dag_id = ?", DAG)[0]


@pytest.mark.parametrize("file", ["cli-token.sh", "cli-token.py"])
@pytest.mark.parametrize("name", ["airflow2", "airflow332"])
def test_a_cli_token_triggers_a_run(fleet, sample, name, file):
    airflow = fleet.ready(name)
    before = runs(airflow)
    printed = sample(file, name)
    assert DAG in printed
    assert runs(airflow) == before + 1, printed


@pytest.mark.parametrize("name", ["airflow2", "airflow332"])
def test_the_rest_api_in_a_call(fleet, sample, name):
    airflow = fleet.ready(name)
    dags, key = sample("invoke-rest-api.py", name).splitlines()
    # other tests pause and unpause them
    assert dags == str(airflow.query("select dag_id from dag where is_paused = 0 order by dag_id"))
    assert "lab_hello" in dags and key == "sample-key"
    assert airflow.query("delete from variable where key = 'sample-key' returning key") == ["sample-key"]


@pytest.mark.parametrize("name", ["airflow2", "airflow332"])
def test_a_session_triggers_a_run(fleet, sample, name):
    airflow = fleet.ready(name)
    status, run = sample(f"session{airflow.major}.py", name, "eu-west-1", name, DAG).split()
    assert status == "200"
    assert run in airflow.query("select run_id from dag_run where dag_id = ?", DAG)


@pytest.mark.parametrize("file", ["web-token.sh", "web-token.py"])
def test_a_web_token_makes_a_url(secure, sample, file):
    """test_sso.py opens such a URL."""
    url = sample(file, "airflow2").strip()
    assert re.fullmatch(rf"https://{secure.host}/aws_mwaa/aws-console-sso\?login=true#eyJ[\w.-]+", url)
