"""Two clients, two threads, two processes: one winner."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import Conflict
from hsmstore.domain.limits import KEY_STORES_PER_REGION
from hsmstore.storage import engine
from hsmstore.storage.migrations import SchemaState, current_state, upgrade
from hsmstore.storage.registry import SqlRegistry
from tests.registries import REGISTRIES
from tests.storage.entities import SCOPE, store


def race(contenders: int, attempt: Callable[[int], bool]) -> int:
    """Start all contenders at once and return how many won."""
    barrier = Barrier(contenders)

    def contend(number: int) -> bool:
        barrier.wait()
        return attempt(number)

    with ThreadPoolExecutor(contenders) as pool:
        return sum(pool.map(contend, range(contenders)))


@pytest.mark.parametrize("contenders", [2, 8])
def test_compare_and_swap_has_one_winner(registry: SqlRegistry, contenders: int) -> None:
    """Of all who read the same row and then replace it, one succeeds and the others get Conflict."""
    with registry.writing() as unit:
        unit.add_key_store(store())

    def connect(_number: int) -> bool:
        with registry.reading() as unit:
            before = unit.key_store(SCOPE, store().id)
        assert before is not None
        after = replace(before, state=ConnectionState.CONNECTING, due_at=9.0)
        everybody_has_read.wait()
        try:
            with registry.writing() as unit:
                unit.replace_key_store(before, after)
        except Conflict:
            return False
        return True

    everybody_has_read = Barrier(contenders)
    assert race(contenders, connect) == 1
    with registry.reading() as unit:
        found = unit.key_store(SCOPE, store().id)
    assert found is not None
    assert (found.state, found.version) == (ConnectionState.CONNECTING, 2)


def test_two_registries_share_one_truth(url: str) -> None:
    """Two processes would each have a registry: neither overruns the quota that both count.

    SQLite lets the second wait; another database may send it back with Conflict to start again.
    """
    upgrade(url)
    registries = [SqlRegistry(url) for _ in range(2)]

    def create(number: int) -> bool:
        with registries[number % 2].writing() as unit:
            if unit.count_key_stores(SCOPE) == KEY_STORES_PER_REGION:
                return False
            unit.add_key_store(store(number))
            return True

    def insist(number: int) -> bool:
        while True:
            with suppress(Conflict):
                return create(number)

    assert race(16, insist) == KEY_STORES_PER_REGION
    for registry in registries:
        registry.close()


@pytest.mark.sqlite
def test_a_writer_that_waits_too_long_gets_conflict(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program's lock ends a writing unit with Conflict, before its body has begun."""
    upgrade(url)
    monkeypatch.setattr(engine, "LOCK_PATIENCE", 0.05)
    impatient = SqlRegistry(url)
    intruder = sqlite3.connect(tmp_path / "registry.sqlite3", isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Conflict, match="locked"), impatient.writing():
        pytest.fail("the unit was opened")
    intruder.execute("ROLLBACK")
    with impatient.writing() as unit:
        unit.add_key_store(store())
    intruder.close()
    impatient.close()


def test_a_writer_that_queues_too_long_gets_conflict(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit that its own process keeps open ends the next one with Conflict, a nested one too."""
    upgrade(url)
    monkeypatch.setattr(engine, "LOCK_PATIENCE", 0.05)
    impatient = SqlRegistry(url)
    with impatient.writing(), pytest.raises(Conflict, match="writers"), impatient.writing():
        pytest.fail("the unit was opened")
    impatient.close()


def test_migrations_that_race_run_once(url: str) -> None:
    """Whoever comes second waits, finds the schema current and is content."""

    def start(_number: int) -> bool:
        upgrade(url)
        return current_state(url) is SchemaState.CURRENT

    assert race(4, start) == 4


def test_processes_that_race_migrate_once(url: str) -> None:
    """Likewise where the contenders are processes, which share no lock but the database's."""
    program = "import sys; from hsmstore.storage.migrations import upgrade; upgrade(sys.argv[1])"
    contenders = [subprocess.Popen([sys.executable, "-c", program, url]) for _ in range(3)]
    assert [contender.wait() for contender in contenders] == [0, 0, 0]
    assert current_state(url) is SchemaState.CURRENT


def test_threads_migrate_databases_of_their_own(tmp_path: Path) -> None:
    """Simulators that start at once in one process don't meet in Alembic's global context."""
    homes = [tmp_path / str(number) for number in range(8)]
    for home in homes:
        home.mkdir()
    urls = [REGISTRIES.url(home) for home in homes]

    def start(number: int) -> bool:
        upgrade(own := urls[number])
        return current_state(own) is SchemaState.CURRENT

    assert race(8, start) == 8
