"""The Unit's part that counts what is in the registry."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, func, select

from hsmstore.domain.connection import ConnectionState
from hsmstore.storage.models import key_stores

_STATES: Final = select(key_stores.c.state, func.count()).group_by(key_stores.c.state)


class SqlTallyUnit:
    """What metrics ask of one open transaction."""

    _connection: Connection

    def key_store_states(self) -> Mapping[ConnectionState, int]:
        """Return how many key stores of all accounts and Regions are in each state that one is in."""
        return {ConnectionState(state): count for state, count in self._connection.execute(_STATES)}
