"""DescribeCustomKeyStores."""

import msgspec

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import CustomKeyStoreNotFoundException, ValidationException
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import (
    ConnectionErrorCode,
    KeyStore,
    KeyStoreType,
    XksBacking,
    XksConnectivity,
)
from hsmstore.domain.limits import DESCRIBE_PAGE_MAX
from hsmstore.domain.ports import Unit
from hsmstore.service import lifecycle
from hsmstore.service.markers import Listing
from hsmstore.service.shapes import KeyStoreId, KeyStoreName, Marker, PageSize, Request, Response
from hsmstore.service.world import Call, World


class DescribeCustomKeyStoresRequest(Request, frozen=True):
    """`DescribeCustomKeyStoresRequest`."""

    custom_key_store_id: KeyStoreId | None = None
    custom_key_store_name: KeyStoreName | None = None
    limit: PageSize | None = None
    marker: Marker | None = None


class XksProxyConfiguration(Response, frozen=True):
    """`XksProxyConfigurationType`. The secret access key is never returned."""

    connectivity: XksConnectivity
    access_key_id: str
    uri_endpoint: str
    uri_path: str
    vpc_endpoint_service_name: str | None = None
    vpc_endpoint_service_owner: str | None = None


class CustomKeyStoresListEntry(Response, frozen=True, kw_only=True):
    """`CustomKeyStoresListEntry`; `creation_date` is in seconds since the epoch."""

    custom_key_store_id: str
    custom_key_store_name: str
    cloud_hsm_cluster_id: str | None = None
    trust_anchor_certificate: str | None = None
    connection_state: ConnectionState
    connection_error_code: ConnectionErrorCode | None = None
    creation_date: float
    custom_key_store_type: KeyStoreType
    xks_proxy_configuration: XksProxyConfiguration | None = None


class DescribeCustomKeyStoresResponse(Response, frozen=True, kw_only=True):
    """`DescribeCustomKeyStoresResponse`."""

    custom_key_stores: list[CustomKeyStoresListEntry]
    next_marker: str | None = None
    truncated: bool


def describe_custom_key_stores(
    request: DescribeCustomKeyStoresRequest, call: Call, world: World
) -> DescribeCustomKeyStoresResponse:
    """Describe one store by id or name, or a page of all; without Limit a page is as long as Limit may be.

    Raises:
        ValidationException: both id and name.
        CustomKeyStoreNotFoundException: there is none of this id or name.
        InvalidMarkerException: a Marker that was not made here for this account and Region.

    """
    if request.custom_key_store_id is not None and request.custom_key_store_name is not None:
        raise ValidationException("Specify either CustomKeyStoreId or CustomKeyStoreName, but not both.")
    lifecycle.settle(world)
    if request.custom_key_store_id is not None:
        stores = [lifecycle.find(world, call.scope, request.custom_key_store_id)]
        return DescribeCustomKeyStoresResponse(custom_key_stores=_entries(stores), truncated=False)
    with world.registry.reading() as unit:
        if request.custom_key_store_name is not None:
            stores = [_named(unit, call.scope, request.custom_key_store_name)]
            return DescribeCustomKeyStoresResponse(custom_key_stores=_entries(stores), truncated=False)
        limit = request.limit or DESCRIBE_PAGE_MAX
        listing = Listing(world, call.scope, "key-stores")
        after = listing.open_marker(request.marker, tuple[float, str])
        stores = unit.key_stores(call.scope, after=after, limit=limit + 1)
    shown = listing.page(stores, limit, lambda store: (store.created_at, store.id))
    return DescribeCustomKeyStoresResponse(
        custom_key_stores=_entries(shown.items), truncated=shown.truncated, next_marker=shown.marker
    )


def _named(unit: Unit, scope: Scope, name: str) -> KeyStore:
    store = unit.key_store_named(scope, name)
    if store is None:
        raise CustomKeyStoreNotFoundException(
            f"No custom key store is named {name} in account {scope.account}, Region {scope.region}."
        )
    return store


def _entries(stores: list[KeyStore]) -> list[CustomKeyStoresListEntry]:
    return [_entry(store) for store in stores]


def _entry(store: KeyStore) -> CustomKeyStoresListEntry:
    entry = CustomKeyStoresListEntry(
        custom_key_store_id=store.id,
        custom_key_store_name=store.name,
        connection_state=store.state,
        connection_error_code=store.error_code,
        creation_date=round(store.created_at, 3),
        custom_key_store_type=store.type,
    )
    if isinstance(store.backing, XksBacking):
        return msgspec.structs.replace(entry, xks_proxy_configuration=_proxy(store.backing))
    return msgspec.structs.replace(
        entry,
        cloud_hsm_cluster_id=store.backing.cluster_id,
        trust_anchor_certificate=store.backing.trust_anchor_certificate,
    )


def _proxy(backing: XksBacking) -> XksProxyConfiguration:
    return XksProxyConfiguration(
        connectivity=backing.connectivity,
        access_key_id=backing.access_key_id,
        uri_endpoint=backing.uri_endpoint,
        uri_path=backing.uri_path,
        vpc_endpoint_service_name=backing.vpc_endpoint_service_name,
        vpc_endpoint_service_owner=backing.vpc_endpoint_service_owner,
    )
