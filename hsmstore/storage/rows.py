"""Rows to entities and back: a flat row holds what the entity nests. No SQL and no I/O."""

from collections import namedtuple
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Row

from hsmstore.domain.cluster import Cluster, ClusterState, HsmState, HsmUnit, Subnet, TokenReference
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import (
    CloudHsmBacking,
    ConnectionErrorCode,
    KeyStore,
    KeyStoreEvent,
    XksBacking,
    XksConnectivity,
)
from hsmstore.storage.models import key_stores


def key_store_row(store: KeyStore) -> dict[str, object]:
    """Return the store's values by column; those of the other kind of backing are None."""
    return {
        "id": store.id,
        "account": store.scope.account,
        "region": store.scope.region,
        "name": store.name,
        "created_at": store.created_at,
        "state": store.state.value,
        "state_since": store.state_since,
        "due_at": store.due_at,
        "error_code": store.error_code,
        "version": store.version,
        **_cloudhsm_columns(store.backing),
        **_xks_columns(store.backing),
    }


def _cloudhsm_columns(backing: CloudHsmBacking | XksBacking) -> Mapping[str, object]:
    own = backing if isinstance(backing, CloudHsmBacking) else None
    return {
        "cluster_id": own and own.cluster_id,
        "trust_anchor_certificate": own and own.trust_anchor_certificate,
        "password": own and own.password,
        "pending_password": own and own.pending_password,
    }


def _xks_columns(backing: CloudHsmBacking | XksBacking) -> Mapping[str, object]:
    own = backing if isinstance(backing, XksBacking) else None
    return {
        "xks_connectivity": own and own.connectivity.value,
        "xks_uri_endpoint": own and own.uri_endpoint,
        "xks_uri_path": own and own.uri_path,
        "xks_access_key_id": own and own.access_key_id,
        "xks_secret_access_key": own and own.secret_access_key,
        "xks_vpc_endpoint_service_name": own and own.vpc_endpoint_service_name,
        "xks_vpc_endpoint_service_owner": own and own.vpc_endpoint_service_owner,
    }


_KEY_STORE_COLUMNS: Final = tuple(key_stores.columns.keys())
_KeyStoreRow = namedtuple("_KeyStoreRow", _KEY_STORE_COLUMNS)  # type: ignore[misc]  # noqa: PYI024  # the table's


def key_store_of(row: Row[Any]) -> KeyStore:
    """Return the store that a row holds, which begins with the columns of `key_stores`.

    A page has a thousand rows of twenty columns, and a Row takes long to find one by its name.
    """
    own: Any = _KeyStoreRow(*row[: len(_KEY_STORE_COLUMNS)])
    return KeyStore(
        id=own.id,
        scope=Scope(own.account, own.region),
        name=own.name,
        created_at=own.created_at,
        backing=_cloudhsm_backing(own) if own.cluster_id is not None else _xks_backing(own),
        state=ConnectionState(own.state),
        state_since=own.state_since,
        due_at=own.due_at,
        error_code=None if own.error_code is None else ConnectionErrorCode(own.error_code),
        version=own.version,
    )


def _cloudhsm_backing(own: Any) -> CloudHsmBacking:
    return CloudHsmBacking(
        cluster_id=own.cluster_id,
        trust_anchor_certificate=own.trust_anchor_certificate,
        password=own.password,
        pending_password=own.pending_password,
    )


def _xks_backing(own: Any) -> XksBacking:
    return XksBacking(
        connectivity=XksConnectivity(own.xks_connectivity),
        uri_endpoint=own.xks_uri_endpoint,
        uri_path=own.xks_uri_path,
        access_key_id=own.xks_access_key_id,
        secret_access_key=own.xks_secret_access_key,
        vpc_endpoint_service_name=own.xks_vpc_endpoint_service_name,
        vpc_endpoint_service_owner=own.xks_vpc_endpoint_service_owner,
    )


def cluster_row(cluster: Cluster) -> dict[str, object]:
    """Return the cluster's values by column, without its HSMs."""
    token = cluster.token
    return {
        "id": cluster.id,
        "account": cluster.scope.account,
        "region": cluster.scope.region,
        "state": cluster.state.value,
        "created_at": cluster.created_at,
        "trust_anchor_certificate": cluster.trust_anchor_certificate,
        "token_profile": token and token.profile,
        "token_module": token and token.module,
        "token_label": token and token.label,
        "token_serial": token and token.serial,
        "token_address": token and token.address,
        "crypto_officer_pin": cluster.crypto_officer_pin,
        "network_reachable": cluster.network_reachable,
        "failed_logins": cluster.failed_logins,
        "kmsuser_elsewhere": cluster.kmsuser_elsewhere,
        "version": cluster.version,
    }


def hsm_rows(cluster: Cluster) -> list[dict[str, object]]:
    """Return the values of the cluster's HSMs by column, in their order."""
    return [
        {
            "id": hsm.id,
            "cluster_id": cluster.id,
            "position": position,
            "availability_zone": hsm.availability_zone,
            "state": hsm.state.value,
            "has_kmsuser": hsm.has_kmsuser,
        }
        for position, hsm in enumerate(cluster.hsms)
    ]


def subnet_rows(cluster: Cluster) -> list[dict[str, object]]:
    """Return the values of the cluster's subnets by column, in their order."""
    return [
        {
            "id": subnet.id,
            "cluster_id": cluster.id,
            "position": position,
            "availability_zone": subnet.availability_zone,
            "free_addresses": subnet.free_addresses,
            "exists": subnet.exists,
        }
        for position, subnet in enumerate(cluster.subnets)
    ]


def cluster_of(row: Row[Any], its_hsms: Iterable[Row[Any]], its_subnets: Iterable[Row[Any]]) -> Cluster:
    """Return the cluster that a row of `clusters` and its rows of `hsms` and `subnets`, in order, hold."""
    return Cluster(
        id=row.id,
        scope=Scope(row.account, row.region),
        state=ClusterState(row.state),
        created_at=row.created_at,
        trust_anchor_certificate=row.trust_anchor_certificate,
        hsms=tuple(_hsm_of(hsm) for hsm in its_hsms),
        subnets=tuple(_subnet_of(subnet) for subnet in its_subnets),
        token=_token_of(row),
        crypto_officer_pin=row.crypto_officer_pin,
        network_reachable=row.network_reachable,
        failed_logins=row.failed_logins,
        kmsuser_elsewhere=row.kmsuser_elsewhere,
        version=row.version,
    )


def _hsm_of(row: Row[Any]) -> HsmUnit:
    return HsmUnit(
        id=row.id,
        availability_zone=row.availability_zone,
        state=HsmState(row.state),
        has_kmsuser=row.has_kmsuser,
    )


def _subnet_of(row: Row[Any]) -> Subnet:
    return Subnet(
        id=row.id,
        availability_zone=row.availability_zone,
        free_addresses=row.free_addresses,
        exists=row.exists,
    )


def _token_of(row: Row[Any]) -> TokenReference | None:
    if row.token_serial is None:
        return None
    return TokenReference(
        profile=row.token_profile,
        module=row.token_module,
        label=row.token_label,
        serial=row.token_serial,
        address=row.token_address,
    )


def event_row(event: KeyStoreEvent) -> dict[str, object]:
    """Return the event's values by column."""
    return {
        "key_store_id": event.key_store_id,
        "at": event.at,
        "event": event.event,
        "state": event.state.value,
        "error_code": event.error_code and event.error_code.value,
        "detail": event.detail,
    }


def event_of(row: Row[Any]) -> KeyStoreEvent:
    """Return the event that a row of `key_store_events` holds."""
    return KeyStoreEvent(
        key_store_id=row.key_store_id,
        at=row.at,
        event=row.event,
        state=ConnectionState(row.state),
        error_code=None if row.error_code is None else ConnectionErrorCode(row.error_code),
        detail=row.detail,
    )
