"""The Unit's part that lists, finds and counts key stores, and keeps what happened to each."""

from typing import Any, Final

from sqlalchemy import Connection, Select, bindparam, func, insert, or_, select, tuple_

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import KeyStore, KeyStoreEvent
from hsmstore.storage.models import key_store_events, key_stores
from hsmstore.storage.rows import event_of, event_row, key_store_of

_store = key_stores.c
_event = key_store_events.c

_in_scope = (_store.account == bindparam("account"), _store.region == bindparam("region"))
_place = tuple_(_store.created_at, _store.id)
_sought = [column.ilike(bindparam("pattern"), escape="!") for column in (_store.name, _store.id)]

_STORES: Final = select(key_stores).where(*_in_scope).order_by(_store.created_at, _store.id)
_COUNT: Final = select(func.count()).select_from(key_stores).where(*_in_scope)
_IN_USE: Final = select(_store.cluster_id).where(_store.cluster_id.is_not(None))

_of_store = _event.key_store_id == bindparam("key_store_id")
_LAST_EVENTS: Final = select(key_store_events).where(_of_store).order_by(_event.number.desc())
_COUNT_EVENTS: Final = select(func.count()).select_from(key_store_events).where(_of_store)


class SqlListUnit:
    """Key stores and their histories in one open transaction."""

    _connection: Connection

    def key_stores(
        self,
        scope: Scope,
        *,
        find: str = "",
        after: tuple[float, str] | None = None,
        limit: int | None = None,
    ) -> list[KeyStore]:
        """Return stores in order of (created_at, id), those behind `after` only, at most `limit`.

        With `find` only those whose name or id has it somewhere, with ASCII's letters in either case.
        """
        statement, parameters = _finding(_STORES, scope, find)
        if after is not None:
            statement = statement.where(_place > after)
        return [key_store_of(row) for row in self._connection.execute(statement.limit(limit), parameters)]

    def count_key_stores(self, scope: Scope, find: str = "") -> int:
        """Return how many stores the scope has, for the quota; with `find`, how many of those it finds."""
        count: int = self._connection.execute(*_finding(_COUNT, scope, find)).scalar_one()
        return count

    def clusters_in_use(self) -> set[str]:
        """Return the ids of the clusters that key stores stand on, of any scope, deleted or not."""
        return set(self._connection.execute(_IN_USE).scalars())

    def record(self, event: KeyStoreEvent) -> None:
        """Add to the store's history."""
        self._connection.execute(insert(key_store_events), event_row(event))

    def history(self, key_store_id: str, limit: int | None = None) -> list[KeyStoreEvent]:
        """Return what happened to the store, in order; of it the last `limit`."""
        found = self._connection.execute(_LAST_EVENTS.limit(limit), {"key_store_id": key_store_id})
        return [event_of(row) for row in found][::-1]

    def count_events(self, key_store_id: str, event: str | None = None) -> int:
        """Return how many things happened to the store; with `event`, how often this one did."""
        statement = _COUNT_EVENTS if event is None else _COUNT_EVENTS.where(_event.event == event)
        count: int = self._connection.execute(statement, {"key_store_id": key_store_id}).scalar_one()
        return count


def _finding(statement: Select[Any], scope: Scope, find: str) -> tuple[Select[Any], dict[str, str]]:
    """Return the statement for what is sought, and its parameters."""
    if not find:
        return statement, scope._asdict()
    literal = find.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return statement.where(or_(*_sought)), {**scope._asdict(), "pattern": f"%{literal}%"}
