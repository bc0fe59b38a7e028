"""CreateKey, in custom key stores.

Which key store takes which key: KMS API Reference, CreateKey. The texts are ours, except where noted.
"""

from dataclasses import replace
from typing import Annotated, Final

from hsmstore.domain.cluster import Cluster
from hsmstore.domain.connection import Action
from hsmstore.domain.errors import (
    CustomKeyStoreInvalidStateException,
    CustomKeyStoreNotFoundException,
    LimitExceededException,
    UnsupportedOperationException,
    ValidationException,
)
from hsmstore.domain.identifiers import new_key_id
from hsmstore.domain.key import KmsKey, Tag
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore
from hsmstore.domain.limits import KEYS_PER_REGION
from hsmstore.service import lifecycle
from hsmstore.service.cloudhsm import require_hsms
from hsmstore.service.keys import material
from hsmstore.service.keys.metadata import (
    CustomerMasterKeySpec,
    KeyMetadata,
    KeySpec,
    KeyUsage,
    Origin,
    metadata,
)
from hsmstore.service.keys.policies import checked_policy, default_policy
from hsmstore.service.keys.tags import checked_tags
from hsmstore.service.shapes import Description, KeyStoreId, Policy, Request, Response, TagMember, text
from hsmstore.service.world import Call, World, starting_again


class CreateKeyRequest(Request, frozen=True):
    """`CreateKeyRequest`. What goes together is left to the service."""

    policy: Policy | None = None
    description: Description | None = None
    key_usage: KeyUsage | None = None
    customer_master_key_spec: CustomerMasterKeySpec | None = None
    key_spec: KeySpec | None = None
    origin: Origin | None = None
    custom_key_store_id: KeyStoreId | None = None
    bypass_policy_lockout_safety_check: bool | None = None
    tags: list[TagMember] | None = None
    multi_region: bool | None = None
    xks_key_id: Annotated[str, text(1, 128, r"^[a-zA-Z0-9-_.]+$")] | None = None


class CreateKeyResponse(Response, frozen=True):
    """`CreateKeyResponse`."""

    key_metadata: KeyMetadata


STANDARD_KEY: Final = (
    "hsmstore serves KMS keys in custom key stores only: specify an Origin of AWS_CLOUDHSM and a"
    " CustomKeyStoreId. For keys of other origins, start it with --upstream and the URL of another emulator."
)
UNREACHABLE_PROXY: Final = (
    "AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue."
)
"""Recorded in the XKS specification; this simulator has no proxy client."""


@starting_again
def create_key(request: CreateKeyRequest, call: Call, world: World) -> CreateKeyResponse:
    """Make an AES-256 key on the token of a connected CloudHSM key store, and the KMS key for it.

    Raises:
        ValidationException: members that contradict each other.
        UnsupportedOperationException: a key that no custom key store can have, or one outside of them.
        MalformedPolicyDocumentException, TagException, LimitExceededException: as documented.
        CustomKeyStoreNotFoundException, CustomKeyStoreInvalidStateException: the store is not connected.
        CloudHsmClusterInvalidConfigurationException: fewer than two active HSMs in different zones.
        KMSInternalException, DependencyTimeoutException: the HSM failed or did not answer.

    """
    _check_members(request)
    tags = checked_tags([Tag(key=tag.tag_key, value=tag.tag_value) for tag in request.tags or []])
    bypass = bool(request.bypass_policy_lockout_safety_check)
    key = KmsKey(
        id=new_key_id(world.entropy.random_bytes),
        scope=call.scope,
        store=_fit_store(world, call, request),
        created_at=world.clock.now(),
        description=request.description or "",
        policy=default_policy(call.scope)
        if request.policy is None
        else checked_policy(request.policy, call.scope, bypass=bypass),
    )
    remains = material.make(world, key)
    try:
        return _commit(world, call, key, tags)
    except Exception:
        material.destroy(world, remains)
        raise


def _commit(world: World, call: Call, key: KmsKey, tags: list[Tag]) -> CreateKeyResponse:
    """Write the key's row, if its store is still connected."""
    with world.registry.writing() as unit:
        if unit.count_keys(key.scope) >= KEYS_PER_REGION:
            raise LimitExceededException(
                f"Account {key.scope.account} already has {KEYS_PER_REGION} KMS keys in Region"
                f" {key.scope.region}."
            )
        store = unit.key_store(key.scope, key.store.id)
        if store is None:
            raise CustomKeyStoreNotFoundException(f"Custom key store {key.store.id} has been deleted.")
        store.require(Action.CREATE_KEY)
        unit.add_key(key, tags)
        unit.remove_remains(key.id)
        answer = CreateKeyResponse(key_metadata=metadata(replace(key, store=store)))
        call.recording.commit(unit, answer)
    return answer


def _check_members(request: CreateKeyRequest) -> None:
    """Refuse what contradicts itself, then what no key in a custom key store can be."""
    if request.key_spec is not None and request.customer_master_key_spec is not None:
        raise ValidationException(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request."
            " CustomerMasterKeySpec is deprecated."
        )
    spec = str(request.key_spec or request.customer_master_key_spec or KeySpec.SYMMETRIC_DEFAULT)
    if request.key_usage is None and spec != KeySpec.SYMMETRIC_DEFAULT:
        raise ValidationException(  # recorded
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
        )
    _check_origin(request)
    usage = request.key_usage or KeyUsage.ENCRYPT_DECRYPT
    for unfit, what in (
        (spec != KeySpec.SYMMETRIC_DEFAULT, f"a KeySpec of {spec}"),
        (usage is not KeyUsage.ENCRYPT_DECRYPT, f"a KeyUsage of {usage}"),
        (bool(request.multi_region), "MultiRegion keys"),
    ):
        if unfit:
            raise UnsupportedOperationException(f"Custom key stores do not support {what}.")


def _check_origin(request: CreateKeyRequest) -> None:
    origin = request.origin or Origin.AWS_KMS
    in_store = origin in {Origin.AWS_CLOUDHSM, Origin.EXTERNAL_KEY_STORE}
    if in_store and request.custom_key_store_id is None:
        raise ValidationException(f"CustomKeyStoreId is required for an Origin of {origin}.")
    if not in_store and request.custom_key_store_id is not None:
        raise ValidationException(f"CustomKeyStoreId is not valid with an Origin of {origin}.")
    external = origin is Origin.EXTERNAL_KEY_STORE
    if external and request.xks_key_id is None:
        raise ValidationException(f"XksKeyId is required for an Origin of {origin}.")
    if not external and request.xks_key_id is not None:
        raise ValidationException(f"XksKeyId is not valid with an Origin of {origin}.")
    if not in_store:
        raise UnsupportedOperationException(STANDARD_KEY).elsewhere()


def _fit_store(world: World, call: Call, request: CreateKeyRequest) -> KeyStore:
    """Return the store that the key goes into: of its Origin's type, connected, with two active HSMs."""
    assert request.custom_key_store_id is not None  # noqa: S101  # _check_origin saw it
    store = lifecycle.find(world, call.scope, request.custom_key_store_id)
    if request.origin is None or store.type.value != request.origin.value:
        raise UnsupportedOperationException(
            f"Custom key store {store.id} has a CustomKeyStoreType of {store.type}, which has no keys with an"
            f" Origin of {request.origin}."
        )
    store.require(Action.CREATE_KEY)
    if not isinstance(store.backing, CloudHsmBacking):
        raise CustomKeyStoreInvalidStateException(UNREACHABLE_PROXY)
    cluster = _cluster(world, store.backing)
    if cluster is not None:  # of one that is gone the HSM tells
        require_hsms(cluster)
    return store


def _cluster(world: World, backing: CloudHsmBacking) -> Cluster | None:
    with world.registry.reading() as unit:
        return unit.cluster(backing.cluster_id)
