"""What one replica commits the others are told: after the commit, in order, and anew after a lost line."""

import queue
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from hsmstore.domain.clock import ClockSetting
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.notices import ANYTHING, Notice, Topic
from hsmstore.storage.migrations import upgrade
from hsmstore.storage.notices import PostgresNotices, SilentNotices, open_notices
from hsmstore.storage.registry import SqlRegistry
from tests.postgres import OWNER, Postgres
from tests.storage.entities import cluster, store

pytestmark = pytest.mark.postgresql

PATIENCE = 60


class Ear:
    """Somebody who listens, and does with each notice what he is told to do."""

    def __init__(self, url: str) -> None:
        self._heard: queue.Queue[Notice] = queue.Queue()
        self.heed: Callable[[Notice], None] = self._heard.put
        self._notices = open_notices(url)
        self._notices.start(self._hear)
        self.stop = self._notices.stop

    def _hear(self, notice: Notice) -> None:
        self.heed(notice)

    def next(self) -> Notice:
        """Wait for the next notice."""
        return self._heard.get(timeout=PATIENCE)

    def next_of(self, count: int) -> list[Notice]:
        """Wait for the next `count` notices."""
        return [self.next() for _ in range(count)]


@pytest.fixture
def url(postgres: Postgres) -> str:
    """Return the URL of a current database."""
    url = postgres.new_database()
    upgrade(url)
    return url


@pytest.fixture
def registry(url: str) -> Iterator[SqlRegistry]:
    """Open a replica's registry."""
    with closing(SqlRegistry(url)) as registry:
        yield registry


@pytest.fixture
def ear(url: str) -> Iterator[Ear]:
    """Listen as another replica does, from before the first change."""
    ear = Ear(url)
    assert ear.next() == ANYTHING
    yield ear
    ear.stop()


def test_every_change_is_told(registry: SqlRegistry, ear: Ear) -> None:
    """Key stores, clusters, the fault plan and the clock: whatever a replica keeps in memory."""
    with registry.writing() as unit:
        unit.add_key_store(store())
    with registry.writing() as unit:
        before = unit.replace_key_store(store(), replace(store(), name="another"))
    with registry.writing() as unit:
        unit.remove_key_store(before)
    with registry.writing() as unit:
        unit.add_cluster(cluster())
    with registry.writing() as unit:
        after = unit.replace_cluster(cluster(), replace(cluster(), network_reachable=False))
    with registry.writing() as unit:
        unit.remove_cluster(after)
    with registry.writing() as unit:
        unit.replace_faults([])
    with registry.writing() as unit:
        unit.set_clock(ClockSetting(0, 0, 1))
    assert ear.next_of(8) == [
        *[Notice(Topic.KEY_STORE, store().id)] * 3,
        *[Notice(Topic.CLUSTER, cluster().id)] * 3,
        Notice(Topic.FAULTS),
        Notice(Topic.CLOCK),
    ]


def test_a_unit_tells_once_and_at_its_end(registry: SqlRegistry, ear: Ear) -> None:
    """Nothing is told of what is rolled back; what a unit changed twice is told once, when it can be read."""
    with suppress(ZeroDivisionError), registry.writing() as unit:
        unit.add_key_store(store(1))
        raise ZeroDivisionError
    with registry.writing() as unit:
        unit.add_key_store(store(2))
        unit.replace_key_store(store(2), replace(store(2), name="twice"))
        unit.add_cluster(cluster())
    assert ear.next_of(2) == [Notice(Topic.KEY_STORE, store(2).id), Notice(Topic.CLUSTER, cluster().id)]


def test_what_is_told_can_be_read(registry: SqlRegistry, url: str) -> None:
    """A notice comes after the commit that it tells of."""
    seen: queue.Queue[bool] = queue.Queue()

    def look(notice: Notice) -> None:
        with registry.reading() as unit:
            if notice == Notice(Topic.CLUSTER, cluster().id):
                seen.put(unit.cluster(cluster().id) is not None)

    ear = Ear(url)
    assert ear.next() == ANYTHING
    ear.heed = look
    with registry.writing() as unit:
        unit.add_cluster(cluster())
    assert seen.get(timeout=PATIENCE)
    ear.stop()


def test_a_cut_connection_is_made_up_for(
    registry: SqlRegistry, ear: Ear, postgres: Postgres, url: str
) -> None:
    """After its connection was ended the ear listens again, and hears that anything may have changed."""
    postgres.cut(url)
    assert ear.next() == ANYTHING
    with registry.writing() as unit:
        unit.add_cluster(cluster())
    assert ear.next() == Notice(Topic.CLUSTER, cluster().id)


def test_a_killed_server_is_made_up_for(mortal_postgres: Postgres) -> None:
    """So it does when the server was away."""
    url = mortal_postgres.new_database()
    upgrade(url)
    ear = Ear(url)
    assert ear.next() == ANYTHING
    mortal_postgres.kill()
    mortal_postgres.start()
    assert ear.next() == ANYTHING
    with closing(SqlRegistry(url)) as registry, registry.writing() as unit:
        unit.add_cluster(cluster())
    assert ear.next() == Notice(Topic.CLUSTER, cluster().id)
    ear.stop()


@pytest.mark.parametrize("error", [EnvironmentUnfit("no database", "wait"), ZeroDivisionError()])
def test_what_was_not_heeded_is_told_again(registry: SqlRegistry, ear: Ear, error: Exception) -> None:
    """Where the listener fails, it is told a little later that anything may have changed."""
    usual = ear.heed

    def fail(_: Notice) -> None:
        ear.heed = usual
        raise error

    ear.heed = fail
    with registry.writing() as unit:
        unit.add_cluster(cluster())
    assert ear.next() == ANYTHING


def test_a_topic_of_a_later_version_is_anything(ear: Ear, postgres: Postgres, url: str) -> None:
    """While a deployment rolls, a newer replica may speak of what this one does not know."""
    postgres.execute("SELECT pg_notify('hsmstore', 'aliases a-1')", url=url)
    assert ear.next() == ANYTHING


def test_a_database_that_cannot_tell(postgres: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    """Where the database sends no notices changes are kept all the same, and the log says so, once."""
    postgres.execute("CREATE USER mute PASSWORD 'mute'")
    url = postgres.new_database()
    postgres.execute("GRANT ALL ON SCHEMA public TO mute", url=url)
    postgres.execute("REVOKE EXECUTE ON FUNCTION pg_notify FROM PUBLIC", url=url)
    theirs = url.replace(OWNER, "mute:mute")
    upgrade(theirs)
    with closing(SqlRegistry(theirs)) as registry:
        for number in (1, 2):
            with registry.writing() as unit:
                unit.add_cluster(cluster(number))
        with registry.reading() as unit:
            assert len(unit.clusters()) == 2
    assert caplog.text.count("sends no notices") == 1
    postgres.drop_database(url)
    postgres.execute("DROP USER mute")


def test_databases_do_not_hear_each_other(postgres: Postgres, registry: SqlRegistry, ear: Ear) -> None:
    """Registries on one server are strangers."""
    other = postgres.new_database()
    upgrade(other)
    with closing(SqlRegistry(other)) as stranger, stranger.writing() as unit:
        unit.add_cluster(cluster(1))
    with registry.writing() as unit:
        unit.add_cluster(cluster(2))
    assert ear.next() == Notice(Topic.CLUSTER, cluster(2).id)


def test_stopping_is_final(url: str, registry: SqlRegistry) -> None:
    """After `stop` nothing is heard any more; it may be called again, and before any start."""
    ear = Ear(url)
    assert ear.next() == ANYTHING
    ear.stop()
    with registry.writing() as unit:
        unit.add_cluster(cluster())
    ear.heed = lambda _: pytest.fail("heard after the end")
    ear.stop()
    PostgresNotices(url).stop()


@pytest.mark.sqlite
def test_sqlite_has_no_notices() -> None:
    """One process owns the file and need not be told."""
    notices = open_notices("sqlite:///registry.sqlite3")
    assert isinstance(notices, SilentNotices)
    notices.start(lambda _: pytest.fail("who should have told?"))
    notices.stop()
