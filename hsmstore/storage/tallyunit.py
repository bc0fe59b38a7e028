"""The Unit's part that counts what is in the registry."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, bindparam, func, select

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope
from hsmstore.storage.models import key_stores

_store = key_stores.c
_STATES: Final = select(_store.state, func.count()).group_by(_store.state)
_STATES_OF_SCOPE: Final = _STATES.where(
    _store.account == bindparam("account"), _store.region == bindparam("region")
)


class SqlTallyUnit:
    """What metrics and lists ask of one open transaction."""

    _connection: Connection

    def key_store_states(self, scope: Scope | None = None) -> Mapping[ConnectionState, int]:
        """Return how many key stores of the scope, or of all, are in each state that one is in."""
        statement, parameters = (_STATES, {}) if scope is None else (_STATES_OF_SCOPE, scope._asdict())
        found = self._connection.execute(statement, parameters)
        return {ConnectionState(state): count for state, count in found}
