"""CreateCustomKeyStore, UpdateCustomKeyStore and DeleteCustomKeyStore: what a store is."""

from dataclasses import replace
from typing import TypeVar

from hsmstore.domain.connection import Action, ConnectionState
from hsmstore.domain.errors import (
    CustomKeyStoreHasCMKsException,
    CustomKeyStoreNameInUseException,
    LimitExceededException,
    ValidationException,
)
from hsmstore.domain.identifiers import Scope, new_key_store_id
from hsmstore.domain.keystore import (
    CloudHsmBacking,
    KeyStore,
    KeyStoreEvent,
    KeyStoreType,
    XksBacking,
    XksConnectivity,
)
from hsmstore.domain.ports import Unit
from hsmstore.service import cloudhsm, lifecycle, xks
from hsmstore.service.shapes import (
    EMPTY,
    AccountId,
    ClusterId,
    Empty,
    KeyStoreId,
    KeyStoreName,
    KeyStoreRequest,
    Password,
    Request,
    Response,
    TrustAnchor,
    UriEndpoint,
    UriPath,
    VpcServiceName,
    VpcServiceNameOrNone,
    XksCredential,
)
from hsmstore.service.world import Call, World, starting_again

T = TypeVar("T")


class CreateCustomKeyStoreRequest(Request, frozen=True):
    """`CreateCustomKeyStoreRequest`. What else is required depends on the type."""

    custom_key_store_name: KeyStoreName
    cloud_hsm_cluster_id: ClusterId | None = None
    trust_anchor_certificate: TrustAnchor | None = None
    key_store_password: Password | None = None
    custom_key_store_type: KeyStoreType | None = None
    xks_proxy_uri_endpoint: UriEndpoint | None = None
    xks_proxy_uri_path: UriPath | None = None
    xks_proxy_vpc_endpoint_service_name: VpcServiceName | None = None
    xks_proxy_vpc_endpoint_service_owner: AccountId | None = None
    xks_proxy_authentication_credential: XksCredential | None = None
    xks_proxy_connectivity: XksConnectivity | None = None


class CreateCustomKeyStoreResponse(Response, frozen=True):
    """`CreateCustomKeyStoreResponse`."""

    custom_key_store_id: str


class UpdateCustomKeyStoreRequest(Request, frozen=True):
    """`UpdateCustomKeyStoreRequest`."""

    custom_key_store_id: KeyStoreId
    new_custom_key_store_name: KeyStoreName | None = None
    key_store_password: Password | None = None
    cloud_hsm_cluster_id: ClusterId | None = None
    xks_proxy_uri_endpoint: UriEndpoint | None = None
    xks_proxy_uri_path: UriPath | None = None
    xks_proxy_vpc_endpoint_service_name: VpcServiceNameOrNone | None = None
    xks_proxy_vpc_endpoint_service_owner: AccountId | None = None
    xks_proxy_authentication_credential: XksCredential | None = None
    xks_proxy_connectivity: XksConnectivity | None = None


@starting_again
def create_custom_key_store(
    request: CreateCustomKeyStoreRequest, call: Call, world: World
) -> CreateCustomKeyStoreResponse:
    """Register a key store, DISCONNECTED. Repeating the creation of a DISCONNECTED one returns its id.

    Raises:
        ValidationException: members that the type needs are missing, or belong to the other type.
        CustomKeyStoreNameInUseException, LimitExceededException: as documented.
        CloudHsmCluster…Exception, IncorrectTrustAnchorException, XksProxy…InUseException: the
            backing won't do.

    """
    _check_members(request)
    with world.registry.writing() as unit:
        namesake = unit.key_store_named(call.scope, request.custom_key_store_name)
        if namesake is not None:
            if not _is_same(world, namesake, request, call.scope):
                raise _name_in_use(namesake.name)
            return CreateCustomKeyStoreResponse(custom_key_store_id=namesake.id)
        if unit.count_key_stores(call.scope) >= world.terms.key_store_quota:
            raise LimitExceededException(
                f"Account {call.scope.account} already has {world.terms.key_store_quota} custom key stores in"
                f" Region {call.scope.region}."
            )
        key_store_id = new_key_store_id(world.entropy.random_bytes)
        now = world.clock.now()
        store = KeyStore(
            id=key_store_id,
            scope=call.scope,
            name=request.custom_key_store_name,
            created_at=now,
            state_since=now,
            backing=_new_backing(world, unit, key_store_id, request, call.scope),
        )
        if isinstance(store.backing, XksBacking):
            xks.check_unique(unit, store, store.backing)
        unit.add_key_store(store)
        unit.record(_event(store, "created", now))
        answer = CreateCustomKeyStoreResponse(custom_key_store_id=key_store_id)
        call.recording.commit(unit, answer)
    return answer


@starting_again
def update_custom_key_store(request: UpdateCustomKeyStoreRequest, call: Call, world: World) -> Empty:
    """Change a store's name, or what it is to find behind it at the next connect.

    Raises:
        CustomKeyStoreNotFoundException, CustomKeyStoreNameInUseException: as documented.
        CustomKeyStoreInvalidStateException: the state forbids one of the members; nothing is changed.
        ValidationException: a member belongs to the other type of store.
        CloudHsmCluster…Exception, XksProxy…InUseException: the new backing won't do.

    """
    store = lifecycle.find(world, call.scope, request.custom_key_store_id)
    call.recording.about(store)
    _refuse_foreign_members(request, store.type)
    with world.registry.writing() as unit:
        after = replace(store, backing=_updated_backing(world, unit, store, request))
        name = request.new_custom_key_store_name
        if name is not None:
            store.require(Action.RENAME)
            namesake = unit.key_store_named(call.scope, name)
            if namesake is not None and namesake.id != store.id:
                raise _name_in_use(name)
            after = replace(after, name=name)
        if after != store:
            unit.replace_key_store(store, after)
            unit.record(_event(store, "updated", world.clock.now(), _changes(request)))
            call.recording.commit(unit)
    return EMPTY


@starting_again
def delete_custom_key_store(request: KeyStoreRequest, call: Call, world: World) -> Empty:
    """Forget a DISCONNECTED store. Its cluster, and what is in it, stay as they are.

    Raises:
        CustomKeyStoreNotFoundException, CustomKeyStoreInvalidStateException: as documented.
        CustomKeyStoreHasCMKsException: it has keys, if only such as are pending deletion.

    """
    store = lifecycle.find(world, call.scope, request.custom_key_store_id)
    call.recording.about(store)
    store.require(Action.DELETE)
    with world.registry.writing() as unit:
        count = unit.count_keys_of_store(store.id)
        if count:
            raise CustomKeyStoreHasCMKsException(f"Custom key store {store.id} has {count} KMS keys.")
        unit.remove_key_store(store)
        call.recording.commit(unit)
    return EMPTY


_CLOUDHSM_MEMBERS = ("CloudHsmClusterId", "TrustAnchorCertificate", "KeyStorePassword")
_XKS_MEMBERS = (
    "XksProxyConnectivity",
    "XksProxyUriEndpoint",
    "XksProxyUriPath",
    "XksProxyAuthenticationCredential",
    "XksProxyVpcEndpointServiceName",
    "XksProxyVpcEndpointServiceOwner",
)
_REQUIRED = {
    KeyStoreType.AWS_CLOUDHSM: _CLOUDHSM_MEMBERS,
    KeyStoreType.EXTERNAL_KEY_STORE: _XKS_MEMBERS[:4],
}
_FOREIGN = {
    KeyStoreType.AWS_CLOUDHSM: _XKS_MEMBERS,
    KeyStoreType.EXTERNAL_KEY_STORE: _CLOUDHSM_MEMBERS,
}


def _check_members(request: CreateCustomKeyStoreRequest) -> None:
    """Refuse members that the type lacks or does not know, as the model leaves to the service."""
    kind = request.custom_key_store_type or KeyStoreType.AWS_CLOUDHSM
    given = _members(request)
    for member in _REQUIRED[kind]:
        if member not in given:
            raise ValidationException(f"{member} is required.")
    _refuse_foreign_members(request, kind)


def _refuse_foreign_members(request: Request, kind: KeyStoreType) -> None:
    given = _members(request)
    for member in _FOREIGN[kind]:
        if member in given:
            raise ValidationException(
                f"{member} is not valid for a custom key store with a CustomKeyStoreType of {kind}."
            )


def _members(request: Request) -> set[str]:
    """Return the names, as on the wire, of the members that were given."""
    fields = zip(request.__struct_fields__, request.__struct_encode_fields__, strict=True)
    return {member for name, member in fields if getattr(request, name) is not None}


def _given(member: T | None) -> T:
    assert member is not None  # noqa: S101  # _check_members saw it
    return member


def _event(store: KeyStore, event: str, at: float, detail: str = "") -> KeyStoreEvent:
    return KeyStoreEvent(
        key_store_id=store.id,
        at=at,
        event=event,
        state=store.state,
        error_code=store.error_code,
        detail=detail,
    )


def _changes(request: UpdateCustomKeyStoreRequest) -> str:
    """Name the members that an update gave, without their values."""
    return ", ".join(sorted(_members(request) - {"CustomKeyStoreId"}))


def _name_in_use(name: str) -> CustomKeyStoreNameInUseException:
    return CustomKeyStoreNameInUseException(f"The custom key store name {name} is already in use.")


def _new_backing(
    world: World, unit: Unit, key_store_id: str, request: CreateCustomKeyStoreRequest, scope: Scope
) -> CloudHsmBacking | XksBacking:
    if request.custom_key_store_type is KeyStoreType.EXTERNAL_KEY_STORE:
        return _proxy(world, key_store_id, request, scope)
    return cloudhsm.new_backing(
        world,
        unit,
        scope,
        key_store_id,
        cluster_id=_given(request.cloud_hsm_cluster_id),
        trust_anchor=_given(request.trust_anchor_certificate),
        password=_given(request.key_store_password),
    )


def _proxy(world: World, key_store_id: str, request: CreateCustomKeyStoreRequest, scope: Scope) -> XksBacking:
    """Read the proxy's configuration; its VPC endpoint service belongs to the caller unless it is said."""
    credential = _given(request.xks_proxy_authentication_credential)
    in_vpc = request.xks_proxy_connectivity is XksConnectivity.VPC_ENDPOINT_SERVICE
    backing = XksBacking(
        connectivity=_given(request.xks_proxy_connectivity),
        uri_endpoint=_given(request.xks_proxy_uri_endpoint),
        uri_path=_given(request.xks_proxy_uri_path),
        access_key_id=credential.access_key_id,
        secret_access_key=xks.seal_secret(world, key_store_id, credential.raw_secret_access_key),
        vpc_endpoint_service_name=request.xks_proxy_vpc_endpoint_service_name,
        vpc_endpoint_service_owner=request.xks_proxy_vpc_endpoint_service_owner
        or (scope.account if in_vpc else None),
    )
    xks.check_connectivity(backing)
    return backing


def _is_same(world: World, store: KeyStore, request: CreateCustomKeyStoreRequest, scope: Scope) -> bool:
    """Tell whether a Create repeats the one that made `store`, and the store is still DISCONNECTED."""
    kind = request.custom_key_store_type or KeyStoreType.AWS_CLOUDHSM
    if store.state is not ConnectionState.DISCONNECTED or store.type is not kind:
        return False
    if isinstance(store.backing, XksBacking):
        wanted = _proxy(world, store.id, request, scope)
        secret = _given(request.xks_proxy_authentication_credential).raw_secret_access_key
        return xks.is_same(world, store, wanted, store.backing, secret)
    return cloudhsm.is_same(
        world,
        store,
        store.backing,
        cluster_id=_given(request.cloud_hsm_cluster_id),
        trust_anchor=_given(request.trust_anchor_certificate),
        password=_given(request.key_store_password),
    )


def _updated_backing(
    world: World, unit: Unit, store: KeyStore, request: UpdateCustomKeyStoreRequest
) -> CloudHsmBacking | XksBacking:
    if isinstance(store.backing, CloudHsmBacking):
        return cloudhsm.updated_backing(
            world,
            unit,
            store,
            store.backing,
            cluster_id=request.cloud_hsm_cluster_id,
            password=request.key_store_password,
        )
    backing = xks.updated_backing(
        world,
        store,
        store.backing,
        credential=request.xks_proxy_authentication_credential,
        uri_path=request.xks_proxy_uri_path,
        uri_endpoint=request.xks_proxy_uri_endpoint,
        connectivity=request.xks_proxy_connectivity,
        service_name=request.xks_proxy_vpc_endpoint_service_name,
        service_owner=request.xks_proxy_vpc_endpoint_service_owner,
    )
    if backing != store.backing:
        xks.check_unique(unit, store, backing)
    return backing
