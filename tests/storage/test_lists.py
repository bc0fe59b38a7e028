"""Lists of key stores: what is found, in which order, how many there are, and what happened to each."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.keystore import KeyStoreEvent
from hsmstore.storage.migrations import upgrade
from hsmstore.storage.registry import SqlRegistry
from tests.registries import REGISTRIES
from tests.storage.entities import ELSEWHERE, SCOPE, Undone, store
from tests.storage.test_registry import add_key_stores


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRegistry]:
    """Return one registry for all examples of a property, each of which rolls back what it writes."""
    url = REGISTRIES.url(tmp_path_factory.mktemp("lists"))
    upgrade(url)
    registry = SqlRegistry(url)
    yield registry
    registry.close()


_letters = st.text(st.sampled_from("aAbé%_!\\'* "), min_size=1, max_size=4)


@given(st.lists(_letters, max_size=8, unique=True), _letters)
def test_what_is_found_has_it_in_its_name(shared: SqlRegistry, names: list[str], sought: str) -> None:
    """What is sought stands for itself, whatever SQL makes of it, and in either case; it is counted, too."""
    with suppress(Undone), shared.writing() as unit:
        for number, name in enumerate(names):
            unit.add_key_store(replace(store(number), name=name))
        wanted = [name for name in names if sought.lower() in name.lower()]
        assert [found.name for found in unit.key_stores(SCOPE, find=sought)] == wanted
        assert unit.count_key_stores(SCOPE, sought) == len(wanted)
        raise Undone


def test_what_is_found_goes_on_after_a_page(registry: SqlRegistry) -> None:
    """Ids are searched, too; a page of what is found begins where the page before ended."""
    add_key_stores(registry, *(store(number) for number in range(16)), store(16, scope=ELSEWHERE[0]))
    with registry.reading() as unit:
        first = unit.key_stores(SCOPE, find="STORE 1", limit=3)
        rest = unit.key_stores(SCOPE, find="STORE 1", after=(first[-1].created_at, first[-1].id), limit=9)
        assert [found.name for found in first + rest] == [f"store {n}" for n in (1, 10, 11, 12, 13, 14, 15)]
        assert unit.key_stores(SCOPE, find=store(7).id[4:]) == [store(7)]


def test_states_are_counted(registry: SqlRegistry) -> None:
    """Stores are counted by their states, of one scope or of all."""
    connected = replace(store(2), state=ConnectionState.CONNECTED)
    add_key_stores(registry, store(1), connected, store(3), store(4, scope=ELSEWHERE[1]))
    with registry.reading() as unit:
        counted = {ConnectionState.DISCONNECTED: 2, ConnectionState.CONNECTED: 1}
        assert unit.key_store_states(SCOPE) == counted
        assert unit.key_store_states() == counted | {ConnectionState.DISCONNECTED: 3}


def test_clusters_in_use(registry: SqlRegistry) -> None:
    """A cluster is in use where a key store stands on it, of any scope."""
    add_key_stores(registry, store(1), store(2, scope=ELSEWHERE[0]))
    with registry.reading() as unit:
        assert unit.clusters_in_use() == {"cluster-1", "cluster-2"}


def test_the_last_events(registry: SqlRegistry) -> None:
    """Of a history the last events come in their order; all are counted, and those of a name."""
    add_key_stores(registry, store(1), store(2))
    names = ["created", "connect", "connect_failed", "updated", "connect"]
    with registry.writing() as unit:
        for at, name in enumerate(names):
            event = KeyStoreEvent(
                key_store_id=store(1).id,
                at=float(at),
                event=name,
                state=ConnectionState.DISCONNECTED,
                error_code=None,
                detail="",
            )
            unit.record(event)
    with registry.reading() as unit:
        assert [event.event for event in unit.history(store(1).id)] == names
        assert [event.event for event in unit.history(store(1).id, 2)] == names[-2:]
        assert unit.count_events(store(1).id) == len(names)
        assert unit.count_events(store(1).id, "connect") == 2
        assert (unit.history(store(2).id), unit.count_events(store(2).id)) == ([], 0)
