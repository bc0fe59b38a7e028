"""A real database for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hsmstore.storage.migrations import upgrade
from hsmstore.storage.registry import SqlRegistry


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a database that is not there yet."""
    return f"sqlite:///{tmp_path}/registry.sqlite3"


@pytest.fixture
def registry(url: str) -> Iterator[SqlRegistry]:
    """Open a registry on a fresh database."""
    upgrade(url)
    registry = SqlRegistry(url)
    yield registry
    registry.close()
