"""The fixtures that pytest finds wherever hsmstore is installed.

Every run of pytest imports this file, whether it simulates anything or not: so it imports nothing else.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hsmstore.testing import Simulation


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "hsmstore(**options): options of the test's simulator, such as profile='aws'"
    )


@pytest.fixture(name="hsmstore")
def _simulation(request: pytest.FixtureRequest) -> "Iterator[Simulation]":
    """Give the test a simulator of its own, in its process: a `hsmstore.testing.Simulation`."""
    from hsmstore.testing import simulator  # noqa: PLC0415  # see above

    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("hsmstore"))):
        options |= marker.kwargs
    with simulator(**options) as sim:
        yield sim


@pytest.fixture
def kms_client(hsmstore: "Simulation") -> Any:
    """Give a boto3 client of KMS, wired to the test's simulator without a socket. It does not retry."""
    try:
        return hsmstore.client()
    except ModuleNotFoundError as error:
        pytest.fail(str(error), pytrace=False)


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
