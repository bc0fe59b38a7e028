"""Who lost a race on PostgreSQL goes alone the next time, so that nobody loses for ever.

SERIALIZABLE sends back whoever cannot be ordered among the others, and between replicas that write without
a pause that would be the same one over and over: eight of them sent one unit in twelve back ten times. So
the first attempt runs freely, and the next one of its thread lets the writers under way finish and the new
ones wait. LOCK TABLE comes first because it is no query: what is seen is settled after it has been granted.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from hsmstore.domain.errors import Conflict, EnvironmentUnfit

_ALONE: Final = text("LOCK TABLE key_stores, clusters, kms_keys IN SHARE ROW EXCLUSIVE MODE")
"""Readers need not wait for this. A unit that writes other tables only is not in the way."""


class Precedence(threading.local):
    """Whether this thread's last writing unit ended in Conflict."""

    _lost = False

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note how a unit ends."""
        try:
            yield
        except Conflict:
            self._lost = True
            raise
        self._lost = False

    def take(self, connection: Connection) -> None:
        """Go alone, as the first thing in a transaction, where the one before was lost; SQLite always does.

        Raises:
            Conflict: the others did not finish in time.

        """
        if not self._lost or connection.dialect.name != "postgresql":
            return
        try:
            with connection.begin_nested():
                connection.execute(_ALONE)
        except (EnvironmentUnfit, DBAPIError):  # some of PostgreSQL's relatives know no LOCK TABLE
            if connection.invalidated:
                raise
