"""The schema's version: which one a database has, and how it comes to have ours.

Every start asks, so the question is plain SQL: importing Alembic takes as long as the rest of the start.
"""

from enum import Enum, auto
from threading import Lock
from typing import Final

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, inspect

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.resources import resource
from hsmstore.storage.engine import open_engine
from hsmstore.storage.models import metadata
from hsmstore.storage.postgresql import place_of
from hsmstore.storage.purpose import Purpose

REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005", "0006")
"""Every revision in `migrations/versions`, in order. Any other is a newer hsmstore's."""

_VERSION: Final = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
"""Alembic's own table."""

_LOCK: Final = 0x68736D73746F7265  # "hsmstore": PostgreSQL's advisory locks are named by numbers

_ALEMBIC: Final = Lock()  # its context is one for the whole process, so threads take turns


class SchemaState(Enum):
    """How a database stands to this version's schema."""

    EMPTY = auto()
    OUTDATED = auto()
    CURRENT = auto()


def current_state(url: str) -> SchemaState:
    """Return how the database stands, without changing it; a SQLite file that is missing is made, empty.

    SQLite's file is checked for damage and for being writable on the way (under 1 ms while it is small).

    Raises:
        EnvironmentUnfit: it cannot be opened, read or written, is damaged or locked, belongs to another
            program, or was written by a newer hsmstore.

    """
    engine = open_engine(url, Purpose.MIGRATE)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                _check_file(connection)
            return _state(connection)
    finally:
        engine.dispose()


def upgrade(url: str) -> None:
    """Bring the database to this version's schema, in one transaction. Idempotent, and safe to race.

    An empty one is given the tables as they are: what the migrations come to, in a tenth of the time.

    Raises:
        EnvironmentUnfit: as `current_state`.

    """
    if current_state(url) is SchemaState.CURRENT:
        return
    engine = open_engine(url, Purpose.MIGRATE)
    try:
        with engine.begin() as connection:
            take_turn(connection)
            if _state(connection) is SchemaState.EMPTY:
                _create(connection)
            else:
                _migrate(connection)
    finally:
        engine.dispose()


def take_turn(connection: Connection) -> None:
    """Wait until nobody else changes the schema: replicas start together. SQLite's BEGIN has seen to that."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def _create(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)  # nothing is there
    _VERSION.create(connection, checkfirst=True)  # a downgrade to nothing leaves it
    connection.execute(insert(_VERSION).values(version_num=REVISIONS[-1]))


def _migrate(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415  # only a start that must migrate pays for it
    from alembic.config import Config  # noqa: PLC0415

    config = Config(resource("alembic.ini"))
    config.attributes["connection"] = connection
    with _ALEMBIC:
        command.upgrade(config, "head")


def _check_file(connection: Connection) -> None:
    """Meet now what SQLite would otherwise meet in the middle of somebody's request."""
    place = connection.engine.url.database
    finding = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if finding != "ok":
        raise EnvironmentUnfit(
            f"the database {place} is damaged: {finding.splitlines()[-1]}",
            f"restore it from a backup, or salvage it with: sqlite3 {place} .recover",
        )
    # Only a write tells a read-only file: on one, even BEGIN IMMEDIATE succeeds. It is rolled back.
    connection.exec_driver_sql("PRAGMA user_version = 1")


def _state(connection: Connection) -> SchemaState:
    tables = inspect(connection).get_table_names()
    if not tables:
        return SchemaState.EMPTY
    place = place_of(connection.engine.url)
    if "alembic_version" not in tables:
        raise EnvironmentUnfit(
            f"the database {place} belongs to another program", "name one that is hsmstore's own"
        )
    version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().first()
    if version is None:  # left so by a downgrade to nothing
        return SchemaState.EMPTY
    if version not in REVISIONS:
        raise EnvironmentUnfit(
            f"the database {place} was written by a newer hsmstore: its schema is {version},"
            f" this version knows {REVISIONS[-1]}",
            "install the newer version again; nothing has been changed",
        )
    return SchemaState.CURRENT if version == REVISIONS[-1] else SchemaState.OUTDATED
