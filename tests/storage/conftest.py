"""A real database for every test."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.storage.migrations import current_state, upgrade
from hsmstore.storage.registry import SqlRegistry
from tests.registries import REGISTRIES
from tests.storage.entities import SCOPE, store


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a database that is not there yet."""
    return REGISTRIES.url(tmp_path)


@pytest.fixture
def registry(url: str) -> Iterator[SqlRegistry]:
    """Open a registry on a fresh database."""
    upgrade(url)
    registry = SqlRegistry(url)
    yield registry
    registry.close()


@pytest.fixture
def filled(url: str) -> Iterator[str]:
    """Return the URL of a current database that holds a store."""
    upgrade(url)
    registry = SqlRegistry(url)
    with registry.writing() as unit:
        unit.add_key_store(store())
    registry.close()
    yield url
    with closing(SqlRegistry(url)) as registry, registry.reading() as unit:
        assert unit.key_stores(SCOPE) == [store()], "a refusal lost something"


def refusal(url: str) -> EnvironmentUnfit:
    """Return the reason why neither a look nor an upgrade is possible."""
    with pytest.raises(EnvironmentUnfit) as looked:
        current_state(url)
    with pytest.raises(EnvironmentUnfit) as upgraded:
        upgrade(url)
    assert (looked.value.reason, looked.value.mend) == (upgraded.value.reason, upgraded.value.mend)
    assert "\n" not in str(looked.value)
    return looked.value
