"""The fixtures that pytest finds wherever hsmstore is installed.

Every run of pytest imports this file, whether it simulates anything or not: so it imports nothing else.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from hsmstore.testing import Simulation

EXAMPLE: Final = "@pytest.mark.hsmstore(profile='aws')"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", f"hsmstore(**options): options of the test's simulator, as in {EXAMPLE}"
    )


@pytest.fixture(name="hsmstore")
def _simulation(request: pytest.FixtureRequest) -> "Iterator[Simulation]":
    """Give the test a simulator of its own, in its process: a `hsmstore.testing.Simulation`."""
    from hsmstore.domain.errors import EnvironmentUnfit  # noqa: PLC0415  # see above
    from hsmstore.settings import BadSetting  # noqa: PLC0415  # likewise
    from hsmstore.testing import simulator  # noqa: PLC0415  # likewise

    with ExitStack() as stack:
        try:
            sim = stack.enter_context(simulator(**_options(request.node)))
        except (BadSetting, EnvironmentUnfit) as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        yield sim


def _options(test: pytest.Item) -> dict[str, Any]:
    """Return the options of a test's markers; of two the nearer one counts."""
    options: dict[str, Any] = {}
    for marker in reversed(list(test.iter_markers("hsmstore"))):
        if marker.args:
            pytest.fail(f"{marker.args[0]!r} is no option: write its name, as in {EXAMPLE}", pytrace=False)
        options |= marker.kwargs
    return options


@pytest.fixture
def kms_client(hsmstore: "Simulation") -> Any:
    """Give a boto3 client of KMS, wired to the test's simulator without a socket. It does not retry."""
    try:
        return hsmstore.client()
    except ModuleNotFoundError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture
def key_store(hsmstore: "Simulation") -> str:
    """Give the id of a key store that is connected."""
    return hsmstore.store


@pytest.fixture
def hsmstore_endpoint(hsmstore: "Simulation") -> str:
    """Give the URL of the test's simulator, for any SDK in any language."""
    return hsmstore.url


@pytest.fixture
def hsmstore_boto3(hsmstore: "Simulation") -> Iterator[None]:
    """Let every `boto3.client("kms")`, and every session made in the test, reach the test's simulator."""
    with hsmstore.as_default():
        yield
