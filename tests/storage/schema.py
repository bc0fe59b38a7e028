"""What a database looks like inside, whichever engine it is on."""

import re
from typing import Any, Final

from sqlalchemy import Connection

from hsmstore.storage.engine import open_engine
from hsmstore.storage.purpose import Purpose

# A column that was added stands behind the one before it, on the same line.
_PARTS: Final = re.compile(r"\n|, (?=[a-z_]+ [A-Z])")

_SQLITE: Final = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"

_POSTGRESQL: Final = """
SELECT relname, concat_ws(' ', attname, format_type(atttypid, atttypmod), 'NOT NULL='||attnotnull,
                          'DEFAULT='||(SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef
                                       WHERE adrelid = attrelid AND adnum = attnum),
                          '-- '||col_description(attrelid, attnum))
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT conrelid::regclass::text, conname||' '||pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'public'
"""


def schema_of(url: str) -> dict[str, list[str]]:
    """Return the parts of each table and index, in a fixed order; Alembic's table apart.

    On SQLite a part is one of a CREATE statement; on PostgreSQL, what its catalogue says of a column, a
    constraint, an index or a sequence.
    """
    engine = open_engine(url, Purpose.MIGRATE)
    with engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        parts = _lines(connection) if sqlite else connection.exec_driver_sql(_POSTGRESQL).all()
    engine.dispose()
    found: dict[str, list[str]] = {}
    for name, part in parts:
        if name != "alembic_version":
            found.setdefault(name, []).append(part)
    return {name: sorted(described) for name, described in found.items()}


def execute(url: str, statement: str) -> None:
    """Execute one statement on a database, as whoever looks after it may."""
    engine = open_engine(url, Purpose.MIGRATE)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def _lines(connection: Connection) -> list[Any]:
    statements = connection.exec_driver_sql(_SQLITE).all()
    return [(name, part.strip(" ,\t")) for name, sql in statements for part in _PARTS.split(sql)]
