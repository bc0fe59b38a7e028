"""Rows of keys and of what hangs on them, to entities and back. No SQL and no I/O."""

from typing import Any

from msgspec import json
from sqlalchemy import Row

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.key import Alias, Grant, KmsKey, Remains
from hsmstore.domain.keystore import KeyStore


def key_row(key: KmsKey) -> dict[str, object]:
    """Return the key's values by column."""
    return {
        "id": key.id,
        "account": key.scope.account,
        "region": key.scope.region,
        "key_store_id": key.store.id,
        "created_at": key.created_at,
        "description": key.description,
        "policy": key.policy,
        "enabled": key.enabled,
        "deletion_at": key.deletion_at,
        "version": key.version,
    }


def key_of(row: Row[Any], store: KeyStore) -> KmsKey:
    """Return the key that the columns `key_…` of a row hold, of this store."""
    return KmsKey(
        id=row.key_id,
        scope=Scope(row.key_account, row.key_region),
        store=store,
        created_at=row.key_created_at,
        description=row.key_description,
        policy=row.key_policy,
        enabled=row.key_enabled,
        deletion_at=row.key_deletion_at,
        version=row.key_version,
    )


def alias_row(alias: Alias) -> dict[str, object]:
    """Return the alias's values by column."""
    return {
        "account": alias.scope.account,
        "region": alias.scope.region,
        "name": alias.name,
        "key_id": alias.key_id,
        "created_at": alias.created_at,
        "updated_at": alias.updated_at,
    }


def alias_of(row: Row[Any]) -> Alias:
    """Return the alias that a row of `key_aliases` holds."""
    return Alias(
        scope=Scope(row.account, row.region),
        name=row.name,
        key_id=row.key_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def grant_row(grant: Grant) -> dict[str, object]:
    """Return the grant's values by column."""
    return {
        "id": grant.id,
        "account": grant.scope.account,
        "region": grant.scope.region,
        "key_id": grant.key_id,
        "created_at": grant.created_at,
        "grantee": grant.grantee_principal or grant.grantee_service,
        "retiring": grant.retiring_principal or grant.retiring_service,
        "grant": json.encode(grant),
    }


def grant_of(row: Row[Any]) -> Grant:
    """Return the grant that a row of `key_grants` holds."""
    return json.decode(row.grant, type=Grant)


def remains_row(remains: Remains) -> dict[str, object]:
    """Return the values by column."""
    return {
        "key_id": remains.key_id,
        "account": remains.scope.account,
        "region": remains.scope.region,
        "key_store_id": remains.key_store_id,
        "cluster_id": remains.cluster_id,
        "at": remains.at,
        "unfinished": remains.unfinished,
    }


def remains_of(row: Row[Any]) -> Remains:
    """Return what a row of `key_remains` holds."""
    return Remains(
        key_id=row.key_id,
        scope=Scope(row.account, row.region),
        key_store_id=row.key_store_id,
        cluster_id=row.cluster_id,
        at=row.at,
        unfinished=row.unfinished,
    )
