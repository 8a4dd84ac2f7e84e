"""What several of the tests against real programs share."""

import contextlib
from types import SimpleNamespace

import pytest
from airflows import VERSIONS, Fleet
from browser import chromium
from containers import Image
from endpoint import Endpoint, real_tokens
from outcomes.record import Warm
from programs import AIRFLOW, BINARY, LAB, PRODUCTION, Emulator, Gateway
from shell import Shell


def pytest_sessionstart():
    for needed, how in [
        (BINARY, ".github/check.sh build"),
        (PRODUCTION, ".github/check.sh build"),
        *((LAB / name / "bin/airflow", "tests/run") for name in VERSIONS),
        (AIRFLOW, "git checkout"),
    ]:
        if not needed.exists():
            pytest.exit(f"{needed} is missing: {how} makes it", returncode=2)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Tests that share real Airflows run in one process, and so do those of one file."""
    for item in items:
        shared = [name for name in ("fleet", "airflows") if name in item.fixturenames]
        item.add_marker(pytest.mark.xdist_group(shared[0] if shared else item.path.stem))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    """An emulator with its own small world of DAGs."""
    with Emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, emulator):
    """A gateway to this emulator, whose environment is the default one."""
    config = emulator.config_for_one(default=True)
    with Gateway(tmp_path_factory.mktemp("gateway"), config, **emulator.credentials()) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def fleet(tmp_path_factory):
    """Real Airflows of all versions behind one emulator, and a gateway to them."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.stop()


@pytest.fixture(scope="session")
def endpoints(fleet, tmp_path_factory):
    """Two more gateways to these Airflows, without and with TLS, and the default of each."""
    with contextlib.ExitStack() as stack:
        found = {}
        for scheme, default in [("http", "airflow2"), ("https", "airflow332")]:
            found[scheme] = Endpoint(fleet, tmp_path_factory.mktemp(scheme), scheme, default)
            stack.callback(found[scheme].stop)
        # a real token would be found
        assert real_tokens(fleet.aws().create_cli_token(Name="demo")["CliToken"].encode())
        yield found


@pytest.fixture
def secure(endpoints):
    """The gateway with TLS. Whatever clients receive from it in this test has no secret."""
    yield endpoints["https"]
    endpoints["https"].check()


@pytest.fixture
def plain(endpoints):
    """The gateway without TLS. Whatever clients receive from it in this test has no secret."""
    yield endpoints["http"]
    endpoints["http"].check()


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def browser(fleet):
    """A Chromium that finds MWAA's hosts at the emulator."""
    web = fleet.emulator.config["environments"]["demo"]["connect_to"]
    with chromium(f"--host-resolver-rules=MAP *.amazonaws.com {web}") as browser:
        yield browser


@pytest.fixture(scope="session")
def airflows(tmp_path_factory):
    """Warm Airflows behind two emulators: one reports failures with 400, the other with 200."""
    folder = tmp_path_factory.mktemp("outcomes")
    with contextlib.ExitStack() as stack:
        warm = {name: stack.enter_context(Warm(name, folder)) for name in VERSIONS}
        gateways = {}
        for form in ("ok", "bad-request"):
            options = ["--failures", form]
            for name, airflow in warm.items():
                options += ["--airflow-version", f"{name}={airflow.version}"]
                options += ["--airflow-bin", f"{name}={airflow.command()}"]
            home = folder / form
            home.mkdir()
            emulator = stack.enter_context(Emulator(home, *options))
            for table in emulator.config["environments"].values():
                table["policy"] = "all"
            gateway = Gateway(home, emulator.config, **emulator.credentials())
            gateways[form] = stack.enter_context(gateway)
        for airflow in warm.values():
            airflow.wait()
        yield SimpleNamespace(warm=warm, gateways=gateways)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    image = Image(tmp_path_factory.mktemp("image"))
    yield image
    image.remove()
