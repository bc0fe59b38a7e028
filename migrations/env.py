"""What Alembic runs: around every migration, however it was started.

hsmstore passes the connection that it has opened; typed by hand, the URL comes from `-x url=` or alembic.ini.
All migrations of one run are one transaction, on SQLite too: it either reaches its end or changes nothing.
"""

from alembic import context
from sqlalchemy import Connection

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.storage.engine import open_engine
from hsmstore.storage.migrations import take_turn
from hsmstore.storage.models import metadata
from hsmstore.storage.purpose import Purpose


def _url() -> str:
    given = context.get_x_argument(as_dictionary=True).get("url")
    if isinstance(given, str):
        return given
    return context.config.get_main_option("url") or ""


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,  # SQLite alters a table by making it anew
        transactional_ddl=True,  # it can, but Alembic thinks otherwise of SQLite
    )
    context.run_migrations()
    _check_references(connection)


def _check_references(connection: Connection) -> None:
    """Make up for SQLite's foreign keys, which are switched off while tables are made anew."""
    if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").all():
        raise EnvironmentUnfit(
            "a migration would break references between rows", "report this; nothing has changed"
        )


def _print_sql() -> None:
    """Serve `--sql`: no database is asked, so the URL only names a dialect."""
    context.configure(url=_url(), target_metadata=metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def _main() -> None:
    given = context.config.attributes.get("connection")
    if context.is_offline_mode():
        _print_sql()
    elif given is not None:
        _run(given)
    else:
        engine = open_engine(_url(), Purpose.MIGRATE)
        with engine.begin() as connection:
            take_turn(connection)  # who passes a connection has it
            _run(connection)
        engine.dispose()


_main()
