"""Every test of the wire says how we know that AWS does so. And a place for keys."""

from pathlib import Path

import pytest

from docs.generate import EVIDENCE
from tests.server import Server
from tests.wire.keys import Keys


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse to run as long as a test of the wire has no evidence marker, or two."""
    here = Path(__file__).parent
    wire = [item for item in items if item.path.is_relative_to(here)]
    wrong = [item.nodeid for item in wire if sum(mark.name in EVIDENCE for mark in item.iter_markers()) != 1]
    if wrong:
        raise pytest.UsageError(f"Not exactly one of {', '.join(EVIDENCE)}:", *wrong)


@pytest.fixture(scope="session")
def keys(server: Server) -> Keys:
    """Give a connected key store, in an account of its own, to make keys in."""
    return Keys.on(server, "for keys", account="444455556666")
