"""Word of changes from replica to replica, over PostgreSQL's LISTEN and NOTIFY.

A notice is part of the transaction that it tells of: it is delivered after the commit, or never. It says
what has changed and not how, so that who hears it late or twice reads the same truth. One that is lost is
made up for: after every connect the listener says that anything may have changed.
"""

import logging
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from selectors import EVENT_READ, DefaultSelector
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.notices import ANYTHING, Notice, Notices, Topic
from hsmstore.storage.engine import open_engine
from hsmstore.storage.purpose import Purpose

log = logging.getLogger(__name__)

Hear = Callable[[Notice], None]

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 2.0
"""Seconds from a lost connection to the next attempt; each pause is twice the one before."""

_CHANNEL: Final = "hsmstore"
_TELL: Final = text(
    f"SELECT pg_notify('{_CHANNEL}', payload) FROM unnest(CAST(:payloads AS text[])) AS payload"  # noqa: S608  # our own constant
)


class Teller:
    """Sends notices as part of a transaction. The first ones tell whether the database knows how."""

    def __init__(self) -> None:
        self._able: bool | None = None

    def tell(self, connection: Connection, notices: Collection[Notice]) -> None:
        """Send the notices when the connection's transaction commits; nobody listens to SQLite."""
        if not notices or self._able is False or connection.dialect.name != "postgresql":
            return
        payloads = [f"{notice.topic} {notice.id}" for notice in dict.fromkeys(notices)]
        if self._able:
            connection.execute(_TELL, {"payloads": payloads})
        else:
            self._able = self._try(connection, payloads)

    @staticmethod
    def _try(connection: Connection, payloads: list[str]) -> bool:
        """Send within a savepoint: what the database refuses to tell it shall keep all the same."""
        try:
            with connection.begin_nested():
                connection.execute(_TELL, {"payloads": payloads})
        except (EnvironmentUnfit, DBAPIError) as error:
            if connection.invalidated:
                raise
            log.warning("this database sends no notices, so replicas learn of changes late: %s", error)
            return False
        return True


def is_shared(url: str) -> bool:
    """Tell whether several processes may use the registry at this URL at a time; SQLite's has one owner."""
    return not url.startswith("sqlite")


def open_notices(url: str) -> Notices:
    """Return what hears the notices of a registry; it connects when it is started.

    Raises:
        EnvironmentUnfit: the URL is of no known kind.

    """
    return PostgresNotices(url) if is_shared(url) else SilentNotices()


class SilentNotices:
    """The notices of a registry that one process owns: there are none."""

    def start(self, hear: Hear) -> None:
        """Hear nothing."""

    def stop(self) -> None:
        """End nothing."""


class PostgresNotices:
    """Hears notices on a connection of its own, in a thread of its own."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url, Purpose.LISTEN)
        self._stopping = threading.Event()
        self._wake, self._woken = socket.socketpair()
        self._thread: threading.Thread | None = None
        self._pause = FIRST_PAUSE

    def start(self, hear: Hear) -> None:
        """Call `hear` for each notice, one at a time, and after every connect for ANYTHING."""
        self._thread = threading.Thread(target=self._run, args=(hear,), name="notices", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the call under way. Idempotent."""
        self._stopping.set()
        if self._thread is not None:
            self._wake.send(b"\0")
            self._thread.join()
            self._thread = None
        self._wake.close()
        self._woken.close()

    def _run(self, hear: Hear) -> None:
        while not self._stopping.is_set():
            try:
                with self._engine.connect() as connection:
                    self._listen(connection, hear)
            except (EnvironmentUnfit, self._engine.dialect.loaded_dbapi.Error) as error:
                self._say_lost(error)
            except Exception:  # what `hear` did not take in is made up for by the ANYTHING of a new connect
                log.exception("a notice could not be heeded")
            self._stopping.wait(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._engine.dispose()

    def _listen(self, connection: Connection, hear: Hear) -> None:
        """Hear until the connection breaks or `stop` is called."""
        connection.exec_driver_sql(f"LISTEN {_CHANNEL}")
        hear(ANYTHING)
        self._pause = FIRST_PAUSE
        for notice in self._received(connection.connection.driver_connection):
            hear(notice)

    def _received(self, driver: Any) -> Iterator[Notice]:
        with DefaultSelector() as selector:
            selector.register(self._woken, EVENT_READ)
            selector.register(driver.fileno(), EVENT_READ)
            while True:
                for notification in driver.notifies(timeout=0):
                    yield _notice_of(notification.payload)
                if self._stopping.is_set():
                    return
                selector.select()

    def _say_lost(self, error: Exception) -> None:
        level = logging.WARNING if self._pause == FIRST_PAUSE else logging.DEBUG
        log.log(level, "notices of other replicas are not heard for now: %s", error)


def _notice_of(payload: str) -> Notice:
    """Read a notice; one of a later version's topics may be about anything."""
    topic, _, identity = payload.partition(" ")
    try:
        return Notice(Topic(topic), identity)
    except ValueError:
        return ANYTHING
