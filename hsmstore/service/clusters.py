"""The clusters behind key stores: what an owner does to CloudHSM, not what KMS does.

AWS has no single call for any of this (CloudHSM's API, EC2's and the client tools share it), so the requests
are ours; the vocabulary is CloudHSM's.
"""

from dataclasses import replace
from typing import Annotated

import msgspec

from hsmstore.domain.cluster import Cluster, ClusterState, HsmState, HsmUnit, Subnet
from hsmstore.domain.errors import (
    CloudHsmInternalFailureException,
    CloudHsmInvalidRequestException,
    CloudHsmResourceNotFoundException,
)
from hsmstore.domain.identifiers import Scope, new_cluster_id, new_hsm_id, new_subnet_id
from hsmstore.domain.limits import HSMS_PER_CLUSTER, HSMS_TO_CREATE, SUBNET_ADDRESSES
from hsmstore.domain.ports import HsmUnavailable, SealBroken
from hsmstore.service.lifecycle import new_password
from hsmstore.service.shapes import EMPTY, AccountId, Empty, Password, Request, Response, text
from hsmstore.service.world import Call, World, starting_again

ZONES = "abcdef"
SUBNETS = 2  # private ones, in different Availability Zones, as CreateCustomKeyStore requires

Region = Annotated[str, text(1, 64, r"[a-z0-9-]+")]


class CreateClusterRequest(Request, frozen=True):
    """What to build. Without `hsm_count` two HSMs; without a password no kmsuser.

    A profile that makes no tokens adopts one that is there already, by its label; `crypto_officer_pin` is
    then the SO PIN of that token, if its owner wants kmsuser managed from here.
    """

    account_id: AccountId | None = None
    region: Region | None = None
    hsm_count: Annotated[int, msgspec.Meta(ge=0, le=HSMS_PER_CLUSTER)] = HSMS_TO_CREATE
    kmsuser_password: Password | None = None
    pkcs11_profile: Annotated[str, text(1, 64)] | None = None
    pkcs11_module: Annotated[str, text(1, 4096)] | None = None
    token_label: Annotated[str, text(1, 32)] | None = None
    crypto_officer_pin: Annotated[str, text(4, 255, sensitive=True)] | None = None


class ListClustersRequest(Request, frozen=True):
    """Which clusters to list: all, or those of an account, a Region, or both."""

    account_id: AccountId | None = None
    region: Region | None = None


class ClusterRequest(Request, frozen=True):
    """Which cluster."""

    cluster_id: str


class KmsuserRequest(Request, frozen=True):
    """Which cluster's kmsuser, and the password to set."""

    cluster_id: str
    password: Password


class HsmDescription(Response, frozen=True):
    """One HSM of a cluster."""

    hsm_id: str
    availability_zone: str
    state: HsmState


class TokenDescription(Response, frozen=True):
    """The PKCS#11 token that stands for the cluster."""

    profile: str
    label: str
    serial_number: str


class ClusterDescription(Response, frozen=True, kw_only=True):
    """A cluster. `create_timestamp` is in seconds since the epoch; PINs and passwords are never returned."""

    cloud_hsm_cluster_id: str
    account_id: str
    region: str
    state: ClusterState
    create_timestamp: float
    trust_anchor_certificate: str
    hsms: list[HsmDescription]
    kmsuser_exists: bool
    token: TokenDescription | None = None


class ListClustersResponse(Response, frozen=True):
    """The clusters, oldest first."""

    clusters: list[ClusterDescription]


def create_cluster(request: CreateClusterRequest, _: Call, world: World) -> ClusterDescription:
    """Create a cluster with its HSMs, trust anchor, token and kmsuser; it is ACTIVE when this returns.

    Without an HSM it stays UNINITIALIZED, as in life.

    Raises:
        CloudHsmInternalFailureException: the PKCS#11 module refused.
        CloudHsmInvalidRequestException: a token to adopt was not found, or the members contradict.

    """
    cluster_id = new_cluster_id(world.entropy.random_bytes)
    region = request.region or world.home.region
    now = world.clock.now()
    cluster = Cluster(
        id=cluster_id,
        scope=Scope(request.account_id or world.home.account, region),
        state=ClusterState.ACTIVE if request.hsm_count else ClusterState.UNINITIALIZED,
        created_at=now,
        trust_anchor_certificate=world.certificates.new_trust_anchor(cluster_id, now),
        hsms=tuple(
            HsmUnit(
                id=new_hsm_id(world.entropy.random_bytes),
                availability_zone=f"{region}{ZONES[number % len(ZONES)]}",
            )
            for number in range(request.hsm_count)
        ),
        subnets=tuple(
            Subnet(
                id=new_subnet_id(world.entropy.random_bytes),
                availability_zone=f"{region}{zone}",
                free_addresses=SUBNET_ADDRESSES,
            )
            for zone in ZONES[:SUBNETS]
        ),
        token=None,
        crypto_officer_pin=None,
    )
    if request.hsm_count:
        cluster = _with_token(world, cluster, request)
    with world.registry.writing() as unit:
        unit.add_cluster(cluster)
    return _description(cluster)


def list_clusters(request: ListClustersRequest, _: Call, world: World) -> ListClustersResponse:
    """List clusters, oldest first."""
    with world.registry.reading() as unit:
        clusters = unit.clusters()
    return ListClustersResponse(
        clusters=[
            _description(cluster)
            for cluster in clusters
            if request.account_id in {None, cluster.scope.account}
            and request.region in {None, cluster.scope.region}
        ]
    )


def describe_cluster(request: ClusterRequest, _: Call, world: World) -> ClusterDescription:
    """Describe one cluster.

    Raises:
        CloudHsmResourceNotFoundException: there is none of this id.

    """
    return _description(_find(world, request.cluster_id))


@starting_again
def delete_cluster(request: ClusterRequest, _: Call, world: World) -> Empty:
    """Delete the cluster with its HSMs and its token. A key store that stood on it finds out by itself.

    Raises:
        CloudHsmResourceNotFoundException: there is none of this id.

    """
    cluster = _find(world, request.cluster_id)
    with world.registry.writing() as unit:
        unit.remove_cluster(cluster)
    world.hsm.delete_token(cluster)  # the registry first: what a crash leaves is swept by doctor
    return EMPTY


@starting_again
def create_kmsuser(request: KmsuserRequest, _: Call, world: World) -> ClusterDescription:
    """Create the crypto user kmsuser.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: it exists, is logged in, or the SO PIN is not known here.

    """
    cluster = _find(world, request.cluster_id)
    if cluster.kmsuser_exists:
        raise CloudHsmInvalidRequestException(f"Cluster {cluster.id} already has a kmsuser.")
    return _set_kmsuser(world, cluster, request.password, exists=True)


@starting_again
def set_kmsuser_password(request: KmsuserRequest, _: Call, world: World) -> ClusterDescription:
    """Set kmsuser's password as the crypto officer, behind KMS's back.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: no kmsuser, it is logged in, or the SO PIN is not known here.

    """
    cluster = _find(world, request.cluster_id)
    _require_kmsuser(cluster)
    return _set_kmsuser(world, cluster, request.password, exists=True)


@starting_again
def delete_kmsuser(request: ClusterRequest, _: Call, world: World) -> ClusterDescription:
    """Delete the crypto user.

    A PKCS#11 token cannot forget its user: the PIN becomes one that nobody knows.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: no kmsuser, it is logged in, or the SO PIN is not known here.

    """
    cluster = _find(world, request.cluster_id)
    _require_kmsuser(cluster)
    return _set_kmsuser(world, cluster, new_password(world), exists=False)


def _find(world: World, cluster_id: str) -> Cluster:
    with world.registry.reading() as unit:
        cluster = unit.cluster(cluster_id)
    if cluster is None:
        raise CloudHsmResourceNotFoundException(f"Cluster {cluster_id} does not exist.")
    return cluster


def _with_token(world: World, cluster: Cluster, request: CreateClusterRequest) -> Cluster:
    """Make the cluster's token, or adopt the one that the request names: the profile says which."""
    profile, module, label = request.pkcs11_profile, request.pkcs11_module, request.token_label
    password, pin = request.kmsuser_password, request.crypto_officer_pin
    try:
        makes = world.hsm.makes_tokens(profile)
        if makes:
            if label is not None:
                raise CloudHsmInvalidRequestException(
                    "TokenLabel goes with a profile that adopts tokens, such as softhsm2-existing."
                )
            pin = pin or new_password(world)
            token = world.hsm.create_token(cluster.id, pin, password, profile=profile, module=module)
        else:
            token = world.hsm.adopt_token(label, profile=profile, module=module)
    except HsmUnavailable as error:
        raise CloudHsmInternalFailureException(f"The token is not available: {error.reason}.") from error
    return replace(
        cluster.with_kmsuser(exists=not makes or password is not None),
        token=token,
        crypto_officer_pin=None if pin is None else _seal_pin(world, cluster, pin),
    )


def _seal_pin(world: World, cluster: Cluster, pin: str) -> bytes:
    return world.sealer.seal(pin.encode(), _pin_identity(cluster.id))


def _pin_identity(cluster_id: str) -> str:
    return f"cluster/{cluster_id}/crypto-officer-pin"


def _require_kmsuser(cluster: Cluster) -> None:
    if not cluster.kmsuser_exists:
        raise CloudHsmInvalidRequestException(f"Cluster {cluster.id} has no kmsuser.")


def _set_kmsuser(world: World, cluster: Cluster, password: str, *, exists: bool) -> ClusterDescription:
    """Set the PIN on the token, then the fact in the registry."""
    if cluster.crypto_officer_pin is None:
        raise CloudHsmInvalidRequestException(
            f"Cluster {cluster.id} has no token here whose SO PIN is known; use the token's own tools."
        )
    try:
        pin = world.sealer.unseal(cluster.crypto_officer_pin, _pin_identity(cluster.id)).decode()
        world.hsm.reset_password(cluster, pin, password)
    except (HsmUnavailable, SealBroken) as error:
        raise CloudHsmInvalidRequestException(f"kmsuser cannot be changed: {error}.") from error
    if cluster.kmsuser_exists != exists:
        with world.registry.writing() as unit:
            cluster = unit.replace_cluster(cluster, cluster.with_kmsuser(exists=exists))
    return _description(cluster)


def _description(cluster: Cluster) -> ClusterDescription:
    token = cluster.token
    return ClusterDescription(
        cloud_hsm_cluster_id=cluster.id,
        account_id=cluster.scope.account,
        region=cluster.scope.region,
        state=cluster.state,
        create_timestamp=round(cluster.created_at, 3),
        trust_anchor_certificate=cluster.trust_anchor_certificate,
        hsms=[
            HsmDescription(hsm_id=hsm.id, availability_zone=hsm.availability_zone, state=hsm.state)
            for hsm in cluster.hsms
        ],
        kmsuser_exists=cluster.kmsuser_exists,
        token=None
        if token is None
        else TokenDescription(profile=token.profile, label=token.label, serial_number=token.serial),
    )
