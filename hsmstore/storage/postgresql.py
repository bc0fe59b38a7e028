"""PostgreSQL: how its transactions begin, how long they may wait, and what its errors mean here.

A reader gets one snapshot (REPEATABLE READ) and the writers are ordered (SERIALIZABLE): who loses gets
Conflict and starts again. A process holds seven connections at most: four readers, one writer, one that
keeps its lease and waits for no writer, one listener.
Its own writers queue for the one connection, as on SQLite, instead of making each other start again.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from sqlalchemy import URL, Engine, NullPool, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection

from hsmstore.domain.errors import Conflict, EnvironmentUnfit
from hsmstore.storage.purpose import Purpose

STATEMENT_PATIENCE: Final = 30.0
"""Seconds that a statement may take, and that a transaction may idle; no statement here needs one."""

MIGRATION_PATIENCE: Final = 300.0
"""Seconds that a start waits for the migration of another replica."""


class _Manner(NamedTuple):
    """How one purpose uses PostgreSQL."""

    options: Mapping[str, Any]
    pool: Mapping[str, Any]


_ALONE: Final = MappingProxyType({"poolclass": NullPool})

_MANNERS: Final[Mapping[Purpose, _Manner]] = MappingProxyType(
    {
        Purpose.READ: _Manner(
            {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
            {"pool_size": 4, "max_overflow": 0},
        ),
        Purpose.WRITE: _Manner({"isolation_level": "SERIALIZABLE"}, {"pool_size": 1, "max_overflow": 0}),
        # Leases need no more order than a row's lock gives; SERIALIZABLE renewals would send each other back.
        Purpose.RENEW: _Manner({"isolation_level": "READ COMMITTED"}, {"pool_size": 1, "max_overflow": 0}),
        # Whoever waited for another's migration must see what it did.
        Purpose.MIGRATE: _Manner({"isolation_level": "READ COMMITTED"}, _ALONE),
        Purpose.LISTEN: _Manner({"isolation_level": "AUTOCOMMIT"}, _ALONE),
    }
)

_KEEPALIVES: Final = MappingProxyType(
    {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
)
"""A peer that has vanished without a word is noticed within some ten seconds."""

_LOST_RACES: Final = frozenset({"40001", "40P01", "23505"})
"""serialization_failure, deadlock_detected, unique_violation (PostgreSQL, Appendix A)."""

_LOCKED: Final = "55P03"
_READ_ONLY: Final = "25006"
_FORBIDDEN: Final = "42501"

_OURS: Final = ("22", "23", "25", "42")
"""Classes of mistakes in a statement or its data; whatever else goes wrong is the server's."""

_MENDS: Final = (
    (r"password authentication failed|no password supplied", "set the user's password in the URL"),
    (r"role .* does not exist", "name an existing user in the URL, or make this one: createuser"),
    (r"database .* does not exist", "make it: createdb; or name another in the URL"),
    (r"no pg_hba\.conf entry|not permitted to log in", "let the URL's user in: pg_hba.conf, GRANT CONNECT"),
    (
        r"permission denied|must be owner",
        "make the URL's user the database's owner, or grant it what is missing",
    ),
    (r"read-only", "name the primary server in the URL, not a standby"),
    (r"too many (clients|connections)|connection slots", "raise max_connections, or run fewer replicas"),
    (r"starting up|shutting down|recovery", "wait until the server is up; nothing is lost"),
    (r"disk|No space left", "make room on the server's disk"),
    (
        r"refused|timeout|timed out|resolve|translate|No such file|unreachable|No route|closed|terminat",
        "see that the server runs and that the URL names its host and port",
    ),
)
"""What mends it, by the words of the server or of libpq: a connection that fails has no SQLSTATE."""

_MEND: Final = "see that the server runs and that the URL's user may connect and write"


def open_postgresql(url: URL, purpose: Purpose, patience: float) -> Engine:
    """Return an engine whose transactions wait at most `patience` seconds for a lock."""
    manner = _MANNERS[purpose]
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # the server may have been restarted since
        execution_options=manner.options,
        connect_args={"connect_timeout": max(2, int(patience)), **_KEEPALIVES},  # libpq's least is 2
        **manner.pool,
        **({} if manner.pool is _ALONE else {"pool_timeout": patience}),
    )
    limits = _limits(purpose, patience)

    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _record: object) -> None:
        with connection.cursor() as cursor:  # type: ignore[attr-defined]  # PEP 249 knows no `with`, psycopg does
            cursor.execute(limits)
        connection.commit()

    @event.listens_for(engine, "handle_error")
    def translate(context: ExceptionContext) -> Exception | None:
        if context.sqlalchemy_exception is None or context.is_pre_ping:
            return None
        return _meaning(context.original_exception, place_of(url), purpose)

    return engine


def place_of(url: URL) -> str:
    """Return the URL as it may be shown: no password, and no query, which may hold another."""
    return url.set(query={}).render_as_string(hide_password=True)


def _limits(purpose: Purpose, patience: float) -> str:
    """Return one statement for all limits. They are no start-up options: a pooler would refuse those."""
    migrating = purpose is Purpose.MIGRATE
    limits = {
        "lock_timeout": MIGRATION_PATIENCE if migrating else patience,
        "statement_timeout": MIGRATION_PATIENCE if migrating else STATEMENT_PATIENCE,
        "idle_in_transaction_session_timeout": MIGRATION_PATIENCE if migrating else STATEMENT_PATIENCE,
    }
    settings = (f"set_config('{name}', '{round(limit * 1000)}', false)" for name, limit in limits.items())
    return f"SELECT {', '.join(settings)}"


def _meaning(error: BaseException, place: str, purpose: Purpose) -> Exception | None:
    """Return what a driver's error means here, or None for a mistake of ours."""
    state = getattr(error, "sqlstate", None)  # None where no answer came
    if state in _LOST_RACES:
        return Conflict(f"another transaction came first (SQLSTATE {state})")
    if state == _LOCKED and purpose is Purpose.WRITE:
        return Conflict("another transaction kept its lock")
    if state == _READ_ONLY and purpose is Purpose.READ:
        return None  # we are the ones who forbade it
    if state is not None and state.startswith(_OURS) and state not in {_READ_ONLY, _FORBIDDEN}:
        return None
    reason = str(error).partition("\n")[0]
    mend = next((mend for words, mend in _MENDS if re.search(words, reason)), _MEND)
    return EnvironmentUnfit(f"the database {place} cannot be used: {reason}", mend)
