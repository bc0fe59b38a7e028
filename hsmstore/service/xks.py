"""External key stores: their proxy's configuration, kept and compared but not yet called.

Rules: KMS API Reference, CreateCustomKeyStore ("Uniqueness requirements") and UpdateCustomKeyStore. The
texts, and which of several faults is named first, are ours.
"""

import hmac
from dataclasses import replace

from hsmstore.domain.connection import Action
from hsmstore.domain.errors import (
    ValidationException,
    XksProxyUriEndpointInUseException,
    XksProxyUriInUseException,
    XksProxyVpcEndpointServiceInUseException,
)
from hsmstore.domain.keystore import KeyStore, XksBacking, XksConnectivity
from hsmstore.domain.ports import SealBroken, Unit
from hsmstore.service.shapes import XksCredential
from hsmstore.service.world import World


def secret_identity(key_store_id: str) -> str:
    """Name the place that a proxy's secret access key is sealed for."""
    return f"key-store/{key_store_id}/xks-secret-access-key"


def seal_secret(world: World, key_store_id: str, secret_access_key: str) -> bytes:
    """Return the proxy's secret access key sealed for its store."""
    return world.sealer.seal(secret_access_key.encode(), secret_identity(key_store_id))


def check_connectivity(backing: XksBacking) -> None:
    """Refuse a VPC endpoint service without a name, and a name or an owner without one.

    Raises:
        ValidationException: the members contradict each other.

    """
    if backing.connectivity is XksConnectivity.VPC_ENDPOINT_SERVICE:
        if backing.vpc_endpoint_service_name is None:
            raise ValidationException("XksProxyVpcEndpointServiceName is required.")
        return
    for member, value in (
        ("XksProxyVpcEndpointServiceName", backing.vpc_endpoint_service_name),
        ("XksProxyVpcEndpointServiceOwner", backing.vpc_endpoint_service_owner),
    ):
        if value is not None:
            raise ValidationException(
                f"{member} is valid only with an XksProxyConnectivity of VPC_ENDPOINT_SERVICE."
            )


def check_unique(unit: Unit, store: KeyStore, backing: XksBacking) -> None:
    """Refuse a proxy that another external key store of the account and Region uses.

    Raises:
        XksProxyUriInUseException, XksProxyUriEndpointInUseException,
        XksProxyVpcEndpointServiceInUseException: as documented.

    """
    for other in unit.key_stores_beside(store, backing):
        if isinstance(other.backing, XksBacking):
            _check_apart(other.backing, backing)


def _check_apart(other: XksBacking, backing: XksBacking) -> None:
    vpc = XksConnectivity.VPC_ENDPOINT_SERVICE
    same_endpoint = other.uri_endpoint == backing.uri_endpoint
    if same_endpoint and vpc in {other.connectivity, backing.connectivity}:
        raise XksProxyUriEndpointInUseException(
            f"{backing.uri_endpoint} is already in use by another external key store, and one of the two"
            " has an XksProxyConnectivity of VPC_ENDPOINT_SERVICE."
        )
    if same_endpoint and other.uri_path == backing.uri_path:
        raise XksProxyUriInUseException(
            f"{backing.uri_endpoint}{backing.uri_path} is already in use by another external key store."
        )
    name = backing.vpc_endpoint_service_name
    if name is not None and name == other.vpc_endpoint_service_name:
        raise XksProxyVpcEndpointServiceInUseException(
            f"{name} is already in use by another external key store."
        )


def updated_backing(
    world: World,
    store: KeyStore,
    backing: XksBacking,
    *,
    credential: XksCredential | None,
    uri_path: str | None,
    uri_endpoint: str | None,
    connectivity: XksConnectivity | None,
    service_name: str | None,
    service_owner: str | None,
) -> XksBacking:
    """Return the backing with the members that are given.

    Credential and path may change while the store is CONNECTED, the rest only while it is DISCONNECTED.
    `service_name` may be the empty string: there is none any more.

    Raises:
        CustomKeyStoreInvalidStateException: the state forbids a member.
        ValidationException: a new connectivity without the endpoint and service name that it needs.

    """
    if credential is not None or uri_path is not None:
        store.require(Action.UPDATE_PROXY_CREDENTIAL)
    if any(member is not None for member in (uri_endpoint, connectivity, service_name, service_owner)):
        store.require(Action.UPDATE_PROXY_ENDPOINT)
    if connectivity not in {None, backing.connectivity}:
        if uri_endpoint is None:
            raise ValidationException("XksProxyUriEndpoint is required to change XksProxyConnectivity.")
        # On the way to a public endpoint null, empty and absent mean the same; on the way to a VPC endpoint
        # service it belongs to the caller unless it is said, as in Create.
        in_vpc = connectivity is XksConnectivity.VPC_ENDPOINT_SERVICE
        owner = store.scope.account if in_vpc else None
        backing = replace(backing, vpc_endpoint_service_name=None, vpc_endpoint_service_owner=owner)
    if credential is not None:
        backing = replace(
            backing,
            access_key_id=credential.access_key_id,
            secret_access_key=seal_secret(world, store.id, credential.raw_secret_access_key),
        )
    if service_name == "":
        backing = replace(backing, vpc_endpoint_service_name=None)
    backing = replace(
        backing,
        connectivity=connectivity or backing.connectivity,
        uri_endpoint=uri_endpoint or backing.uri_endpoint,
        uri_path=uri_path or backing.uri_path,
        vpc_endpoint_service_name=service_name or backing.vpc_endpoint_service_name,
        vpc_endpoint_service_owner=service_owner or backing.vpc_endpoint_service_owner,
    )
    check_connectivity(backing)
    return backing


def is_same(world: World, store: KeyStore, wanted: XksBacking, backing: XksBacking, secret: str) -> bool:
    """Tell whether a repeated Create names exactly this backing; the sealed secrets are compared open."""
    if replace(wanted, secret_access_key=backing.secret_access_key) != backing:
        return False
    try:
        known = world.sealer.unseal(backing.secret_access_key, secret_identity(store.id))
    except SealBroken:
        return False
    return hmac.compare_digest(known, secret.encode())
