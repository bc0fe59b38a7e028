"""What every test may rely on: Hypothesis's settings, the run's length and its registry, a real server."""

import resource
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.order import place
from tests.postgres import Postgres, postgres_running
from tests.registries import REGISTRIES, Engine, belongs
from tests.server import Server, running

# On every machine the same, CI included: examples are random, and a failure prints how to replay it.
# No deadline, because an example may make a token on a busy disk; no health check is suppressed.
settings.register_profile(
    "default", derandomize=False, deadline=None, print_blob=True, suppress_health_check=()
)
settings.register_profile("endurance", settings.get_profile("default"), max_examples=5_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--endurance`, `--rewrite` and `--registry`."""
    parser.addoption("--endurance", action="store_true", help="run the long tests at their full length")
    parser.addoption(
        "--rewrite", action="store_true", help="tests/pages: write into the pages what they show"
    )
    parser.addoption(
        "--registry",
        type=Engine,
        choices=list(Engine),
        default=Engine.SQLITE,
        help="keep registries there, and run the tests that this can make a difference to",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Load the Hypothesis profile of this run, and let Ctrl-C reach the programs that are tested.

    A shell that starts a run in the background has it, and all that it starts, ignore SIGINT.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.load_profile("endurance" if config.getoption("endurance") else "default")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select what belongs to the run: everything once, on SQLite; what meets a registry on PostgreSQL too.

    The files that last longest come first.
    """
    engine = config.getoption("registry")
    others = [item for item in items if not belongs(item, engine)]
    items[:] = sorted((item for item in items if belongs(item, engine)), key=place)
    config.hook.pytest_deselected(items=others)


@pytest.fixture(scope="session", autouse=True)
def registries(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keep the registries of this run where it was told to."""
    if request.config.getoption("registry") is Engine.POSTGRESQL:
        REGISTRIES.postgres = request.getfixturevalue("postgres")
    yield
    REGISTRIES.postgres = None  # which drops everything at its own end


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Drop the test's own databases behind it, when its fixtures have come to their ends."""
    tmp_path = getattr(item, "funcargs", {}).get("tmp_path")
    if tmp_path is not None and REGISTRIES.postgres is not None:
        REGISTRIES.drop(tmp_path)


@pytest.fixture(scope="session")
def endurance(pytestconfig: pytest.Config) -> bool:
    """Tell whether this is a long run."""
    return bool(pytestconfig.getoption("endurance"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run the PostgreSQL that all tests of this process share, each in a database of its own."""
    with postgres_running() as postgres:
        yield postgres


@pytest.fixture
def mortal_postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL that the test may stop and kill."""
    with postgres_running() as postgres:
        yield postgres


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve all tests from one server: instant, and with room for all their key stores."""
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    with running(data_dir, "--profile", "instant", "--key-store-quota", "100000") as server:
        yield server


@pytest.fixture
def many_files() -> Iterator[int]:
    """Let this process have as many files as the system grants; return how many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    _, hard = before
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield 65536 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
