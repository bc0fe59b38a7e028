"""What the services need of the registry for KMS keys: the part of `ports.Unit` that is about them."""

from collections.abc import Sequence
from typing import Protocol

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.key import Alias, Grant, KmsKey, Remains, Tag


class KeyUnit(Protocol):
    """Keys, with what hangs on them: aliases, tags and grants go when their key goes."""

    def key(self, scope: Scope, key_id: str) -> KmsKey | None:
        """Return the key of this id, its store with it."""

    def key_of_alias(self, scope: Scope, name: str) -> KmsKey | None:
        """Return the key that the alias names."""

    def keys(
        self, scope: Scope, *, after: tuple[float, str] | None = None, limit: int | None = None
    ) -> list[KmsKey]:
        """Return keys in order of (created_at, id), those behind `after` only, at most `limit`."""

    def due_keys(self, now: float) -> list[KmsKey]:
        """Return every key, of any scope, that is to be deleted by `now`."""

    def count_keys(self, scope: Scope) -> int:
        """Return how many keys the scope has, for the quota."""

    def count_keys_of_store(self, key_store_id: str) -> int:
        """Return how many keys the store has, those that are pending deletion included."""

    def add_key(self, key: KmsKey, tags: Sequence[Tag] = ()) -> None:
        """Insert a row, with the key's first tags.

        Raises:
            Conflict: the id is there already.

        """

    def replace_key(self, before: KmsKey, after: KmsKey) -> KmsKey:
        """Write `after` over `before` and return it with its new version.

        Raises:
            Conflict: the version is no longer `before`'s.

        """

    def remove_key(self, key: KmsKey) -> None:
        """Delete the row.

        Raises:
            Conflict: the version is no longer the key's.

        """

    def alias(self, scope: Scope, name: str) -> Alias | None:
        """Return the alias of this name."""

    def aliases(
        self, scope: Scope, *, key_id: str | None = None, after: str | None = None, limit: int | None = None
    ) -> list[Alias]:
        """Return aliases in order of their names, those of one key or of all, behind `after` only."""

    def count_aliases(self, key_id: str) -> int:
        """Return how many aliases the key has, for the quota."""

    def add_alias(self, alias: Alias) -> None:
        """Insert a row.

        Raises:
            Conflict: the name is there already.

        """

    def replace_alias(self, alias: Alias) -> None:
        """Write what the alias of this name says now.

        Raises:
            Conflict: there is no such row any more.

        """

    def remove_alias(self, alias: Alias) -> None:
        """Delete the row.

        Raises:
            Conflict: there is no such row any more.

        """

    def tags(self, key_id: str) -> list[Tag]:
        """Return the key's tags, in order of their keys."""

    def put_tags(self, key_id: str, tags: Sequence[Tag]) -> None:
        """Add tags to the key; one of the same key is written over."""

    def remove_tags(self, key_id: str, tag_keys: Sequence[str]) -> None:
        """Delete those of the tags that are there."""

    def grant(self, scope: Scope, grant_id: str) -> Grant | None:
        """Return the grant of this id."""

    def grants(
        self,
        scope: Scope,
        *,
        key_id: str | None = None,
        grantee: str | None = None,
        retiring: str | None = None,
        after: tuple[float, str] | None = None,
        limit: int | None = None,
    ) -> list[Grant]:
        """Return grants in order of (created_at, id).

        Of one key, to one grantee, with one retiring principal (each an ARN or a service's name), behind
        `after`, or whichever of these is given.
        """

    def count_grants(self, key_id: str) -> int:
        """Return how many grants the key has, for the quota."""

    def add_grant(self, grant: Grant) -> None:
        """Insert a row.

        Raises:
            Conflict: the id is there already.

        """

    def remove_grant(self, grant: Grant) -> None:
        """Delete the row.

        Raises:
            Conflict: there is no such row any more.

        """

    def remains(self) -> list[Remains]:
        """Return the material that no key has, of any scope, the oldest first."""

    def add_remains(self, remains: Remains) -> None:
        """Insert a row.

        Raises:
            Conflict: the key's id is there already.

        """

    def remove_remains(self, key_id: str) -> None:
        """Delete the row. Idempotent."""
