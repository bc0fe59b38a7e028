"""PostgreSQL as it is met in life: away, closed, locked, cut off; said clearly, and without a secret."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import psycopg
import pytest

from hsmstore.domain.connection import ConnectionState, Event
from hsmstore.domain.errors import Conflict, EnvironmentUnfit
from hsmstore.domain.keystore import KeyStoreEvent
from hsmstore.service.world import starting_again
from hsmstore.storage import engine, postgresql
from hsmstore.storage.migrations import current_state, upgrade
from hsmstore.storage.purpose import Purpose
from hsmstore.storage.registry import SqlRegistry
from tests.postgres import OWNER, Postgres
from tests.storage.conftest import refusal
from tests.storage.entities import SCOPE, store
from tests.storage.schema import execute
from tests.storage.test_races import race

pytestmark = pytest.mark.postgresql

SECRET = "Canary7Database7Password"


@pytest.fixture
def stranger(postgres: Postgres) -> Iterator[str]:
    """Give the name of a user who may log in with SECRET, and no more."""
    postgres.execute("CREATE USER stranger PASSWORD 'Canary7Database7Password'")
    yield "stranger"
    postgres.execute("DROP USER stranger")


# What cannot be used.


@pytest.mark.parametrize(
    ("wrong", "reason", "mend"),
    [
        (lambda p: p.url("nowhere"), 'database "nowhere" does not exist', "createdb"),
        (lambda p: p.url(user="nobody", password=SECRET), "password authentication failed", "password in"),
        (lambda p: p.url(user="stranger", password="wrong"), "password authentication failed", "password in"),
        (lambda p: p.url(user="stranger"), "no password supplied", "password in"),
        (lambda p: p.url().replace("127.0.0.1", "none.invalid"), "none.invalid", "its host and port"),
        (lambda p: p.url() + "?sslmode=sideways", "sslmode", "see that"),
        (lambda p: p.url(user="stranger", password=SECRET), "permission denied for schema", "grant it"),
        (lambda p: f"{p.url()}?options=-cdefault_transaction_read_only%3Don", "read-only", "primary"),
    ],
    ids=["database", "user", "wrong password", "no password", "host", "option", "permission", "standby"],
)
@pytest.mark.usefixtures("stranger")
def test_what_is_wrong_is_said(
    postgres: Postgres, wrong: Callable[[Postgres], str], reason: str, mend: str
) -> None:
    """Each reason is one line of the server's own words, with a mend that fits, and without the password."""
    with pytest.raises(EnvironmentUnfit) as found:
        upgrade(wrong(postgres))
    assert reason in found.value.reason
    assert mend in found.value.mend
    assert SECRET not in str(found.value)
    assert "\n" not in str(found.value)


def test_a_server_that_is_down(mortal_postgres: Postgres) -> None:
    """Down is said; up again, it is used, without anything being made anew."""
    url = mortal_postgres.new_database()
    upgrade(url)
    with closing(SqlRegistry(url)) as registry:
        with registry.writing() as unit:
            unit.add_key_store(store())
        mortal_postgres.stop()
        found = refusal(url)
        assert "refused" in found.reason
        assert "see that the server runs" in found.mend
        for open_unit in (registry.reading, registry.writing):
            with pytest.raises(EnvironmentUnfit, match="refused"), open_unit():
                pytest.fail("the unit was opened")
        mortal_postgres.start()
        with registry.reading() as unit:
            assert unit.key_stores(SCOPE) == [store()]


def test_too_many_connections(postgres: Postgres) -> None:
    """A database that takes no more connections is told from one that is away."""
    url = postgres.new_database()
    postgres.execute("CREATE USER crowded PASSWORD 'crowded' CONNECTION LIMIT 0")
    with pytest.raises(EnvironmentUnfit) as found:
        current_state(url.replace(OWNER, "crowded:crowded"))
    postgres.execute("DROP USER crowded")
    assert "too many connections" in found.value.reason
    assert "max_connections" in found.value.mend


def test_the_password_is_never_shown(postgres: Postgres) -> None:
    """Neither from before the @ nor from the query, whatever is wrong with the database."""
    url = postgres.new_database()
    execute(url, "CREATE TABLE somebody (id INTEGER)")
    for secret in (url.replace(OWNER, f"{OWNER}:{SECRET}"), f"{url}?password={SECRET}"):
        assert SECRET not in str(refusal(secret))


def test_a_password_lets_in(postgres: Postgres, stranger: str) -> None:
    """A user who owns the database needs no more than his password."""
    url = postgres.new_database()
    execute(url, f"GRANT ALL ON SCHEMA public TO {stranger}")
    theirs = url.replace(OWNER, f"{stranger}:{SECRET}")
    upgrade(theirs)
    with closing(SqlRegistry(theirs)) as registry, registry.writing() as unit:
        unit.add_key_store(store())
    postgres.drop_database(url)


# Connections.


def test_a_process_takes_few_connections(postgres: Postgres) -> None:
    """However many threads ask, four readers and one writer are connected; the others take turns."""
    url = postgres.new_database()
    upgrade(url)
    with closing(SqlRegistry(url)) as registry:

        def use(number: int) -> bool:
            for _ in range(5):
                with registry.reading() as unit:
                    unit.key_stores(SCOPE)
                with registry.writing() as unit:
                    unit.add_key_store(store(number + 1))
                    unit.remove_key_store(store(number + 1))
            return True

        assert race(16, use) == 16
        name = url.rpartition("/")[2]
        connected = postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", name)
    assert connected[0][0] <= 5


def test_readers_that_wait_too_long_are_told(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all connections stay in use the next unit says so."""
    url = postgres.new_database()
    monkeypatch.setattr(engine, "LOCK_PATIENCE", 0.05)
    with closing(SqlRegistry(url)) as registry:
        with ExitStack() as units:
            for _ in range(4):
                units.enter_context(registry.reading())
            with pytest.raises(EnvironmentUnfit, match="every connection"), registry.reading():
                pytest.fail("the unit was opened")
        with registry.reading():
            pass


@pytest.mark.parametrize("end", [Postgres.restart, Postgres.crash], ids=["restart", "kill"])
def test_a_restart_between_units_is_not_noticed(
    mortal_postgres: Postgres, end: Callable[[Postgres], None]
) -> None:
    """Connections from before are found dead when they are taken, and made anew."""
    url = mortal_postgres.new_database()
    upgrade(url)
    with closing(SqlRegistry(url)) as registry:
        for number in range(1, 4):
            with registry.writing() as unit:
                unit.add_key_store(store(number))
            with registry.reading() as one, registry.reading() as other:
                assert one.count_key_stores(SCOPE) == other.count_key_stores(SCOPE) == number
            end(mortal_postgres)
        with registry.reading() as unit:
            assert unit.count_key_stores(SCOPE) == 3


def test_a_cut_unit_leaves_nothing(postgres: Postgres) -> None:
    """A connection that is ended in the middle of a unit ends the unit; the next one works at once."""
    url = postgres.new_database()
    upgrade(url)
    with closing(SqlRegistry(url)) as registry:

        def write_twice() -> None:
            with registry.writing() as unit:
                unit.add_key_store(store(1))
                postgres.cut(url)
                unit.add_key_store(store(2))

        def commit() -> None:
            with registry.writing() as unit:
                unit.add_key_store(store(1))
                postgres.cut(url)

        def read() -> None:
            with registry.reading() as unit:
                postgres.cut(url)
                unit.key_stores(SCOPE)

        for use in (write_twice, commit, read):
            with pytest.raises(EnvironmentUnfit):
                use()
        with registry.reading() as unit:
            assert unit.key_stores(SCOPE) == []


def test_a_lock_that_is_kept_is_a_conflict(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer does not wait for ever behind somebody's lock: it starts again, and so do its callers."""
    url = postgres.new_database()
    upgrade(url)
    monkeypatch.setattr(engine, "LOCK_PATIENCE", 0.05)
    dsn = url.replace("+psycopg", "")
    with closing(SqlRegistry(url)) as registry, psycopg.connect(dsn) as intruder:
        intruder.execute("LOCK TABLE key_stores IN EXCLUSIVE MODE")
        with pytest.raises(Conflict, match="kept its lock"), registry.writing() as unit:
            unit.add_key_store(store())
        intruder.rollback()
        with registry.writing() as unit:
            unit.add_key_store(store())


def test_a_database_that_grants_no_lock(postgres: Postgres) -> None:
    """Who was sent back, and cannot have the tables to itself the next time, writes all the same."""
    url = postgres.new_database()
    upgrade(url)
    postgres.execute("CREATE USER unlocking PASSWORD 'unlocking'")
    for right in (
        "GRANT ALL ON key_stores, clusters, hsms, subnets TO unlocking",
        "GRANT SELECT ON kms_keys TO unlocking",  # which is not enough to lock it
    ):
        postgres.execute(right, url=url)
    with closing(SqlRegistry(url.replace(OWNER, "unlocking:unlocking"))) as registry:
        with registry.writing() as unit:
            unit.add_key_store(store(1))
        with pytest.raises(Conflict), registry.writing() as unit:
            unit.add_key_store(store(1))
        with registry.writing() as unit:
            unit.add_key_store(store(2))
        with registry.reading() as unit:
            assert unit.key_stores(SCOPE) == [store(1), store(2)]
    assert postgres.log.count("permission denied for table kms_keys") == 1, "once, after the Conflict"
    postgres.drop_database(url)
    postgres.execute("DROP USER unlocking")


def test_a_statement_that_takes_too_long_is_ended(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No request hangs on the database, even where it holds no lock."""
    monkeypatch.setattr(postgresql, "STATEMENT_PATIENCE", 0.2)
    opened = engine.open_engine(postgres.new_database(), Purpose.READ)
    with opened.connect() as connection, pytest.raises(EnvironmentUnfit, match="statement timeout"):
        connection.exec_driver_sql("SELECT pg_sleep(600)")
    opened.dispose()


def test_who_migrates_is_waited_for(postgres: Postgres) -> None:
    """A second replica that starts waits for the first one's migration, longer than for any other lock."""
    url = postgres.new_database()
    program = "import sys; from hsmstore.storage.migrations import upgrade; upgrade(sys.argv[1])"
    with psycopg.connect(url.replace("+psycopg", "")) as first:
        first.execute("SELECT pg_advisory_xact_lock(%s)", [0x68736D73746F7265])
        second = subprocess.Popen([sys.executable, "-c", program, url])
        while not first.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ).fetchall():
            assert second.poll() is None
        first.rollback()
    assert second.wait() == 0


# Order.


def test_events_are_numbered_in_the_order_of_happening(postgres: Postgres) -> None:
    """Whoever of several replicas changes a store, its history tells what happened first."""
    url = postgres.new_database()
    upgrade(url)
    registries = [SqlRegistry(url) for _ in range(4)]
    with registries[0].writing() as unit:
        unit.add_key_store(store())

    def step(number: int) -> bool:
        """Change the store, and record as the time of the change which version it made."""
        while True:
            try:
                with registries[number % 4].writing() as unit:
                    before = unit.key_store(SCOPE, store().id)
                    assert before is not None
                    after = unit.replace_key_store(before, replace(before, name=str(number)))
                    unit.record(
                        KeyStoreEvent(
                            key_store_id=before.id,
                            at=float(after.version),
                            event=Event.CONNECT,
                            state=ConnectionState.CONNECTING,
                            error_code=None,
                            detail="",
                        )
                    )
            except Conflict:
                continue
            return True

    assert race(16, step) == 16
    with registries[0].reading() as unit:
        assert [event.at for event in unit.history(store().id)] == [float(n) for n in range(2, 18)]
    for registry in registries:
        registry.close()


def test_nobody_loses_for_ever(postgres: Postgres) -> None:
    """Replicas that write without a pause need fewer attempts than a service makes."""
    url = postgres.new_database()
    upgrade(url)
    registries = [SqlRegistry(url) for _ in range(8)]

    def live(number: int) -> bool:
        own = store(number + 1)

        @starting_again
        def change() -> None:
            with registries[number].writing() as unit:
                count = unit.count_key_stores(SCOPE)
                if unit.key_store(SCOPE, own.id) is None:
                    unit.add_key_store(own)
                else:
                    unit.remove_key_store(own)
                assert abs(unit.count_key_stores(SCOPE) - count) == 1

        for _ in range(20):
            change()
        return True

    assert race(8, live) == 8
    for registry in registries:
        registry.close()


def test_write_skew_is_a_conflict(postgres: Postgres) -> None:
    """Two units that each read what the other writes cannot both commit, though they touch no common row."""
    url = postgres.new_database()
    upgrade(url)
    with closing(SqlRegistry(url)) as one, closing(SqlRegistry(url)) as other:

        def overlap() -> None:
            with one.writing() as first, other.writing() as second:
                assert first.count_key_stores(SCOPE) == second.count_key_stores(SCOPE) == 0
                first.add_key_store(store(1))
                second.add_key_store(store(2))

        with pytest.raises(Conflict):
            overlap()
        with one.reading() as unit:
            assert unit.key_stores(SCOPE) == [store(2)]
