"""What the ticker goes by to rest: when something is due next, and whether anything has been written."""

from contextlib import suppress
from dataclasses import replace

from hsmstore.domain.connection import ConnectionState
from hsmstore.storage.registry import SqlRegistry
from tests.storage.entities import ELSEWHERE, SCOPE, Undone, store


def test_what_is_due_next(registry: SqlRegistry) -> None:
    """It is the first of all phases, of whatever scope; where nothing is to happen there is none."""
    with registry.reading() as unit:
        assert unit.next_due() is None
    with registry.writing() as unit:
        unit.add_key_store(store(1))
        unit.add_key_store(replace(store(2), state=ConnectionState.DISCONNECTING, due_at=30.0))
        elsewhere = store(3, scope=ELSEWHERE[0])
        unit.add_key_store(replace(elsewhere, state=ConnectionState.CONNECTING, due_at=20.0))
    with registry.reading() as unit:
        assert unit.next_due() == 20.0


def test_writes_are_counted(registry: SqlRegistry) -> None:
    """One that is rolled back counts as well; a look does not."""
    before = registry.writes()
    with registry.writing() as unit:
        unit.add_key_store(store(1))
    with suppress(Undone), registry.writing():
        raise Undone
    with registry.reading() as unit:
        assert unit.key_store(SCOPE, store(1).id) is not None
    assert registry.writes() == before + 2
