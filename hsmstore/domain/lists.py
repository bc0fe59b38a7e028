"""Lists of key stores, and of what happened to one: what the services ask of the registry for them."""

from typing import Protocol

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import KeyStore, KeyStoreEvent


class ListUnit(Protocol):
    """The part of the registry's transaction that lists, finds and counts key stores."""

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

    def count_key_stores(self, scope: Scope, find: str = "") -> int:
        """Return how many stores the scope has, for the quota; with `find`, how many of those it finds."""

    def clusters_in_use(self) -> set[str]:
        """Return the ids of the clusters that key stores stand on, of any scope, deleted or not."""

    def record(self, event: KeyStoreEvent) -> None:
        """Add to a store's history, which goes when the store goes."""

    def history(self, key_store_id: str, limit: int | None = None) -> list[KeyStoreEvent]:
        """Return what happened to the store, in order; of it the last `limit`."""

    def count_events(self, key_store_id: str, event: str | None = None) -> int:
        """Return how many things happened to the store; with `event`, how often this one did."""
