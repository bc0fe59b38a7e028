"""Engines: how a database is opened, how its transactions begin, and what its errors mean here.

SQLite runs in WAL mode with synchronous=FULL, so that readers never wait and a commit is on the disk before
it is answered. Python's sqlite3 would begin transactions too late for a consistent view; as SQLAlchemy's
documentation advises, its own control is switched off and BEGIN is sent from here: deferred for a reader,
IMMEDIATE for a writer, which so waits for its turn instead of failing when it first writes. (`autocommit`,
the newer cure, came with Python 3.12 and knows no IMMEDIATE.)

The index of SQLite's log is a file in memory, and the first reader behind a commit writes to it. Where the
disk has become read-only meanwhile, the kernel answers that with SIGBUS, which ends the process. So whoever
has committed is also the first to read. (A commit under way, or the last close, can still meet it.
`unix-excl`, which has no such file, would keep `doctor` and everybody else from looking at the registry of
a running server.)
"""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from hsmstore.domain.errors import Conflict, EnvironmentUnfit
from hsmstore.storage.postgresql import open_postgresql
from hsmstore.storage.purpose import Purpose

LOCK_PATIENCE: Final = 5.0
"""Seconds that a transaction waits for the one before it."""


def open_engine(url: str, purpose: Purpose) -> Engine:
    """Return an engine for one purpose. It connects when it is first used.

    Its transactions raise Conflict where others came first, and EnvironmentUnfit where the database
    cannot be used.

    Raises:
        EnvironmentUnfit: the URL is none, or of a database that hsmstore does not know.

    """
    try:
        parsed = make_url(url)
        return _OPENERS[parsed.get_backend_name()](parsed, purpose, LOCK_PATIENCE)
    except (ArgumentError, NoSuchModuleError, KeyError):
        raise EnvironmentUnfit(
            "the database URL is not of a known kind", "use sqlite:///path or postgresql+psycopg://…"
        ) from None
    except ModuleNotFoundError as error:
        raise EnvironmentUnfit(
            f"the database's driver {error.name} is not installed",
            "pip install 'hsmstore[postgres]'" if error.name == "psycopg" else f"pip install {error.name}",
        ) from None


# SQLite.


class _SqliteManner(NamedTuple):
    """How one purpose uses SQLite."""

    begin: str
    pragmas: tuple[str, ...]
    pool: Mapping[str, Any] = MappingProxyType({})


_SQLITE: Final[Mapping[Purpose, _SqliteManner]] = MappingProxyType(
    {
        Purpose.READ: _SqliteManner("BEGIN", ("foreign_keys = ON", "query_only = ON")),
        # SQLite has one writer at a time and lets the others sleep and look again. Threads that queue for
        # the one connection are woken instead: eight of them wrote four to ten times as fast.
        Purpose.WRITE: _SqliteManner(
            "BEGIN IMMEDIATE", ("foreign_keys = ON",), {"pool_size": 1, "max_overflow": 0}
        ),
        # A table is altered by making it anew, and dropping the old one would cascade into its children.
        Purpose.MIGRATE: _SqliteManner("BEGIN IMMEDIATE", ("foreign_keys = OFF",)),
    }
)

_UNFIT: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        sqlite3.SQLITE_NOTADB: (
            "is not a SQLite database",
            "restore it from a backup, or name another file",
        ),
        sqlite3.SQLITE_CORRUPT: (
            "is damaged",
            "restore it from a backup, or salvage it with: sqlite3 FILE .recover",
        ),
        sqlite3.SQLITE_BUSY: (
            f"has been locked by another program for {LOCK_PATIENCE:g} seconds",
            "stop that program; fuser FILE tells which",
        ),
        sqlite3.SQLITE_READONLY: (
            "is read-only",
            "give this user write permission to the file and its directory",
        ),
        sqlite3.SQLITE_PERM: ("may not be used", "give this user the file and its directory"),
        sqlite3.SQLITE_AUTH: ("may not be used", "give this user the file and its directory"),
        sqlite3.SQLITE_FULL: ("has no space left to grow", "make room on its disk"),
        sqlite3.SQLITE_IOERR: ("could not be read or written", "look at the disk and the kernel's log"),
    }
)
"""By primary result code: what is wrong with the file, and what mends it."""

_TAKEN: Final = frozenset({sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY})
_PRIMARY_CODE: Final = 0xFF


def _open_sqlite(url: URL, purpose: Purpose, patience: float) -> Engine:
    if url.database in {None, "", ":memory:"}:
        raise EnvironmentUnfit("a database in memory cannot be shared by threads", "name a file in its URL")
    manner = _SQLITE[purpose]
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_timeout=patience,
        connect_args={"timeout": patience},
        **manner.pool,
    )
    place = str(url.database)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        _to_wal(connection)
        for pragma in ("synchronous = FULL", *manner.pragmas):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(manner.begin)

    if purpose is Purpose.WRITE:
        event.listen(engine, "checkin", _read_first)

    @event.listens_for(engine, "handle_error")
    def translate(context: ExceptionContext) -> Exception | None:
        code = getattr(context.original_exception, "sqlite_errorcode", None)
        return None if code is None else _sqlite_error(code, place, purpose)

    return engine


def _to_wal(connection: sqlite3.Connection) -> None:
    """Switch the file, once and for all, to a write-ahead log.

    SQLite waits for no lock here. Who holds it is doing the same, or is met with patience at BEGIN.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
            raise


def _read_first(connection: sqlite3.Connection | None, _record: object) -> None:
    """Read what a writer has committed, before its call is answered: then no reader has to write."""
    if connection is not None:
        with suppress(sqlite3.Error):  # there is nothing to lose: the next reader tries it again
            connection.execute("PRAGMA schema_version").fetchone()


def _sqlite_error(code: int, place: str, purpose: Purpose) -> Exception | None:
    """Return what SQLite's extended result code means here, or None for a mistake of ours."""
    primary = code & _PRIMARY_CODE
    if code in _TAKEN:
        return Conflict("the row is there already")
    if primary == sqlite3.SQLITE_BUSY and purpose is Purpose.WRITE:
        return Conflict(f"the database stayed locked for {LOCK_PATIENCE:g} seconds")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return _cannot_open(Path(place))
    if primary == sqlite3.SQLITE_READONLY and purpose is Purpose.READ:
        return None  # we are the ones who forbade it
    if primary not in _UNFIT:
        return None
    reason, mend = _UNFIT[primary]
    return EnvironmentUnfit(f"the database {place} {reason}", mend.replace("FILE", place))


def _cannot_open(path: Path) -> EnvironmentUnfit:
    """Say why; SQLite has one answer for all of these."""
    if path.is_dir():
        return EnvironmentUnfit(f"the database {path} is a directory", "name a file in it")
    if not path.parent.is_dir():
        return EnvironmentUnfit(f"the database's directory {path.parent} does not exist", "create it")
    return EnvironmentUnfit(
        f"the database {path} cannot be opened", "give this user the file and its directory"
    )


_OPENERS: Final[Mapping[str, Callable[[URL, Purpose, float], Engine]]] = MappingProxyType(
    {"sqlite": _open_sqlite, "postgresql": open_postgresql}
)
