"""The Unit's part about KMS keys. Statements are built once, as in `registry`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Executable, Row, bindparam, delete, func, insert, select, tuple_, update

from hsmstore.domain.errors import Conflict
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.key import Alias, Grant, KmsKey, Remains, Tag
from hsmstore.storage.keyrows import (
    alias_of,
    alias_row,
    grant_of,
    grant_row,
    key_of,
    key_row,
    remains_of,
    remains_row,
)
from hsmstore.storage.models import key_aliases, key_grants, key_remains, key_stores, key_tags, kms_keys
from hsmstore.storage.rows import key_store_of

_key = kms_keys.c
_alias = key_aliases.c
_grant = key_grants.c
_tag = key_tags.c

_key_in_scope = (_key.account == bindparam("account"), _key.region == bindparam("region"))
_alias_in_scope = (_alias.account == bindparam("account"), _alias.region == bindparam("region"))
_grant_in_scope = (_grant.account == bindparam("account"), _grant.region == bindparam("region"))
_key_place = tuple_(_key.created_at, _key.id)
_grant_place = tuple_(_grant.created_at, _grant.id)

# A key is read with its store, whose columns have the same names.
_keys = select(key_stores, *(column.label(f"key_{column.name}") for column in _key)).join_from(
    kms_keys, key_stores
)
_KEY: Final = _keys.where(_key.id == bindparam("id"), *_key_in_scope)
_KEY_OF_ALIAS: Final = _keys.join(key_aliases).where(_alias.name == bindparam("name"), *_alias_in_scope)
_KEYS: Final = _keys.where(*_key_in_scope).order_by(_key.created_at, _key.id)
_DUE: Final = _keys.where(_key.deletion_at <= bindparam("now")).order_by(_key.deletion_at, _key.id)
_COUNT_KEYS: Final = select(func.count()).select_from(kms_keys).where(*_key_in_scope)
_COUNT_OF_STORE: Final = select(func.count()).where(_key.key_store_id == bindparam("key_store_id"))
_unchanged = (_key.id == bindparam("old_id"), _key.version == bindparam("old_version"))
_REPLACE_KEY: Final = update(kms_keys).where(*_unchanged)
_REMOVE_KEY: Final = delete(kms_keys).where(*_unchanged)

_ALIAS: Final = select(key_aliases).where(_alias.name == bindparam("name"), *_alias_in_scope)
_ALIASES: Final = select(key_aliases).where(*_alias_in_scope).order_by(_alias.name)
_this_alias = (
    _alias.account == bindparam("old_account"),
    _alias.region == bindparam("old_region"),
    _alias.name == bindparam("old_name"),
)
_REPLACE_ALIAS: Final = update(key_aliases).where(*_this_alias)
_REMOVE_ALIAS: Final = delete(key_aliases).where(*_this_alias)
_COUNT_ALIASES: Final = select(func.count()).where(_alias.key_id == bindparam("key_id"))

_TAGS: Final = select(key_tags).where(_tag.key_id == bindparam("key_id")).order_by(_tag.tag_key)

_GRANT: Final = select(key_grants).where(_grant.id == bindparam("id"), *_grant_in_scope)
_GRANTS: Final = select(key_grants).where(*_grant_in_scope).order_by(_grant.created_at, _grant.id)
_REMOVE_GRANT: Final = delete(key_grants).where(_grant.id == bindparam("id"))
_COUNT_GRANTS: Final = select(func.count()).where(_grant.key_id == bindparam("key_id"))

_REMAINS: Final = select(key_remains).order_by(key_remains.c.at, key_remains.c.key_id)
_REMOVE_REMAINS: Final = delete(key_remains).where(key_remains.c.key_id == bindparam("key_id"))


class SqlKeyUnit:
    """The KeyUnit of one open transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # Keys.

    def key(self, scope: Scope, key_id: str) -> KmsKey | None:
        """Return the key of this id, its store with it."""
        return self._key(_KEY, {"id": key_id, **scope._asdict()})

    def key_of_alias(self, scope: Scope, name: str) -> KmsKey | None:
        """Return the key that the alias names."""
        return self._key(_KEY_OF_ALIAS, {"name": name, **scope._asdict()})

    def keys(
        self, scope: Scope, *, after: tuple[float, str] | None = None, limit: int | None = None
    ) -> list[KmsKey]:
        """Return keys in order of (created_at, id), those behind `after` only, at most `limit`."""
        statement = _KEYS.limit(limit)
        if after is not None:
            statement = statement.where(_key_place > after)
        return [_key_with_store(row) for row in self._rows(statement, scope._asdict())]

    def due_keys(self, now: float) -> list[KmsKey]:
        """Return every key, of any scope, that is to be deleted by `now`."""
        return [_key_with_store(row) for row in self._rows(_DUE, {"now": now})]

    def count_keys(self, scope: Scope) -> int:
        """Return how many keys the scope has, for the quota."""
        return self._count(_COUNT_KEYS, scope._asdict())

    def count_keys_of_store(self, key_store_id: str) -> int:
        """Return how many keys the store has, those that are pending deletion included."""
        return self._count(_COUNT_OF_STORE, {"key_store_id": key_store_id})

    def add_key(self, key: KmsKey, tags: Sequence[Tag] = ()) -> None:
        """Insert a row, with the key's first tags.

        Raises:
            Conflict: the id is there already.

        """
        self._connection.execute(insert(kms_keys), key_row(key))
        self.put_tags(key.id, tags)

    def replace_key(self, before: KmsKey, after: KmsKey) -> KmsKey:
        """Write `after` over `before` and return it with its new version.

        Raises:
            Conflict: the version is no longer `before`'s.

        """
        renewed = replace(after, version=before.version + 1)
        self._change(_REPLACE_KEY, {**key_row(renewed), **_expected(before)})
        return renewed

    def remove_key(self, key: KmsKey) -> None:
        """Delete the row, and with it its aliases, tags and grants.

        Raises:
            Conflict: the version is no longer the key's.

        """
        self._change(_REMOVE_KEY, _expected(key))

    # Aliases.

    def alias(self, scope: Scope, name: str) -> Alias | None:
        """Return the alias of this name."""
        row = self._connection.execute(_ALIAS, {"name": name, **scope._asdict()}).first()
        return None if row is None else alias_of(row)

    def aliases(
        self, scope: Scope, *, key_id: str | None = None, after: str | None = None, limit: int | None = None
    ) -> list[Alias]:
        """Return aliases in order of their names, those of one key or of all, behind `after` only."""
        statement = _ALIASES.limit(limit)
        if key_id is not None:
            statement = statement.where(_alias.key_id == key_id)
        if after is not None:
            statement = statement.where(_alias.name > after)
        return [alias_of(row) for row in self._rows(statement, scope._asdict())]

    def count_aliases(self, key_id: str) -> int:
        """Return how many aliases the key has, for the quota."""
        return self._count(_COUNT_ALIASES, {"key_id": key_id})

    def add_alias(self, alias: Alias) -> None:
        """Insert a row.

        Raises:
            Conflict: the name is there already.

        """
        self._connection.execute(insert(key_aliases), alias_row(alias))

    def replace_alias(self, alias: Alias) -> None:
        """Write what the alias of this name says now.

        Raises:
            Conflict: there is no such row any more.

        """
        self._change(_REPLACE_ALIAS, {**alias_row(alias), **_expected_alias(alias)})

    def remove_alias(self, alias: Alias) -> None:
        """Delete the row.

        Raises:
            Conflict: there is no such row any more.

        """
        self._change(_REMOVE_ALIAS, _expected_alias(alias))

    # Tags.

    def tags(self, key_id: str) -> list[Tag]:
        """Return the key's tags, in order of their keys."""
        return [Tag(key=row.tag_key, value=row.tag_value) for row in self._rows(_TAGS, {"key_id": key_id})]

    def put_tags(self, key_id: str, tags: Sequence[Tag]) -> None:
        """Add tags to the key; one of the same key is written over."""
        self.remove_tags(key_id, [tag.key for tag in tags])
        if tags:
            rows = [{"key_id": key_id, "tag_key": tag.key, "tag_value": tag.value} for tag in tags]
            self._connection.execute(insert(key_tags), rows)

    def remove_tags(self, key_id: str, tag_keys: Sequence[str]) -> None:
        """Delete those of the tags that are there."""
        if tag_keys:
            statement = delete(key_tags).where(_tag.key_id == key_id, _tag.tag_key.in_(tag_keys))
            self._connection.execute(statement)

    # Grants.

    def grant(self, scope: Scope, grant_id: str) -> Grant | None:
        """Return the grant of this id."""
        row = self._connection.execute(_GRANT, {"id": grant_id, **scope._asdict()}).first()
        return None if row is None else grant_of(row)

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
        """Return grants in order of (created_at, id): those that fit whatever is given."""
        statement = _GRANTS.limit(limit)
        for column, wanted in (
            (_grant.key_id, key_id),
            (_grant.grantee, grantee),
            (_grant.retiring, retiring),
        ):
            if wanted is not None:
                statement = statement.where(column == wanted)
        if after is not None:
            statement = statement.where(_grant_place > after)
        return [grant_of(row) for row in self._rows(statement, scope._asdict())]

    def count_grants(self, key_id: str) -> int:
        """Return how many grants the key has, for the quota."""
        return self._count(_COUNT_GRANTS, {"key_id": key_id})

    def add_grant(self, grant: Grant) -> None:
        """Insert a row.

        Raises:
            Conflict: the id is there already.

        """
        self._connection.execute(insert(key_grants), grant_row(grant))

    def remove_grant(self, grant: Grant) -> None:
        """Delete the row.

        Raises:
            Conflict: there is no such row any more.

        """
        self._change(_REMOVE_GRANT, {"id": grant.id})

    # What is left of keys.

    def remains(self) -> list[Remains]:
        """Return the material that no key has, of any scope, the oldest first."""
        return [remains_of(row) for row in self._rows(_REMAINS, {})]

    def add_remains(self, remains: Remains) -> None:
        """Insert a row.

        Raises:
            Conflict: the key's id is there already.

        """
        self._connection.execute(insert(key_remains), remains_row(remains))

    def remove_remains(self, key_id: str) -> None:
        """Delete the row. Idempotent."""
        self._connection.execute(_REMOVE_REMAINS, {"key_id": key_id})

    # The ways to the database, for this part and for the rest of the unit.

    def _key(self, statement: Executable, parameters: Mapping[str, object]) -> KmsKey | None:
        row = self._connection.execute(statement, parameters).first()
        return None if row is None else _key_with_store(row)

    def _rows(self, statement: Executable, parameters: Mapping[str, object]) -> list[Row[Any]]:
        return list(self._connection.execute(statement, parameters))

    def _count(self, statement: Executable, parameters: Mapping[str, object]) -> int:
        count: int = self._connection.execute(statement, parameters).scalar_one()
        return count

    def _change(self, statement: Executable, parameters: Mapping[str, object]) -> None:
        """Execute a compare-and-swap.

        Raises:
            Conflict: it found no such row any more.

        """
        if self._connection.execute(statement, parameters).rowcount == 0:
            raise Conflict("the row has changed or gone since it was read")


def _key_with_store(row: Row[Any]) -> KmsKey:
    return key_of(row, key_store_of(row))


def _expected(key: KmsKey) -> dict[str, object]:
    return {"old_id": key.id, "old_version": key.version}


def _expected_alias(alias: Alias) -> dict[str, object]:
    return {
        "old_account": alias.scope.account,
        "old_region": alias.scope.region,
        "old_name": alias.name,
    }
