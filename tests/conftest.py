"""What every test may rely on: Hypothesis's settings, and whether this is a long run."""

import pytest
from hypothesis import settings

# On every machine the same, CI included: examples are random, and a failure prints how to replay it.
# No deadline, because an example may make a token on a busy disk; no health check is suppressed.
settings.register_profile(
    "default", derandomize=False, deadline=None, print_blob=True, suppress_health_check=()
)
settings.register_profile("endurance", settings.get_profile("default"), max_examples=5_000)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--endurance`."""
    parser.addoption("--endurance", action="store_true", help="run the long tests at their full length")


def pytest_configure(config: pytest.Config) -> None:
    """Load the Hypothesis profile of this run."""
    settings.load_profile("endurance" if config.getoption("endurance") else "default")


@pytest.fixture(scope="session")
def endurance(pytestconfig: pytest.Config) -> bool:
    """Tell whether this is a long run."""
    return bool(pytestconfig.getoption("endurance"))
