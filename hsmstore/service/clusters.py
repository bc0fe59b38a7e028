"""The clusters behind key stores: what an owner does to CloudHSM, not what KMS does.

AWS has no single call for any of this (CloudHSM's API, EC2's and the client tools share it), so the requests
are ours; the vocabulary is CloudHSM's.
"""

from dataclasses import replace
from typing import Annotated

import msgspec

from hsmstore.domain.checkpoints import Checkpoint
from hsmstore.domain.cluster import Cluster, ClusterState, HsmState, HsmUnit, Subnet, TokenReference
from hsmstore.domain.errors import (
    CloudHsmInternalFailureException,
    CloudHsmInvalidRequestException,
    CloudHsmResourceNotFoundException,
    EnvironmentUnfit,
)
from hsmstore.domain.identifiers import Scope, new_cluster_id, new_hsm_id, new_subnet_id
from hsmstore.domain.limits import HSMS_PER_CLUSTER, HSMS_TO_CREATE, SUBNET_ADDRESSES
from hsmstore.domain.mechanisms import lacking_for_keys
from hsmstore.domain.ports import HsmConnection, HsmUnavailable
from hsmstore.service import lifecycle
from hsmstore.service.login import new_password
from hsmstore.service.shapes import EMPTY, AccountId, Empty, Password, Request, Response, text
from hsmstore.service.world import Call, World, starting_again

ZONES = "abcdef"
SUBNETS = 2  # private ones, in different Availability Zones, as CreateCustomKeyStore requires

Region = Annotated[str, text(1, 64, r"[a-z0-9-]+")]


class CreateClusterRequest(Request, frozen=True):
    """What to build. Without `hsm_count` two HSMs; without a password no kmsuser.

    A profile that makes no tokens adopts one that is there already, by its label; `crypto_officer_pin` is
    then the SO PIN of that token, if its owner wants kmsuser managed from here, and `pkcs11_address` where a
    networked module finds it, for every server of the registry.
    """

    account_id: AccountId | None = None
    region: Region | None = None
    hsm_count: Annotated[int, msgspec.Meta(ge=0, le=HSMS_PER_CLUSTER)] = HSMS_TO_CREATE
    kmsuser_password: Password | None = None
    pkcs11_profile: Annotated[str, text(1, 64)] | None = None
    pkcs11_module: Annotated[str, text(1, 4096)] | None = None
    pkcs11_address: Annotated[str, text(1, 4096)] | None = None
    token_label: Annotated[str, text(1, 32)] | None = None
    crypto_officer_pin: Annotated[str, text(4, 255, sensitive=True)] | None = None


class ListClustersRequest(Request, frozen=True):
    """Which clusters to list: all, or those of an account, a Region, or both."""

    account_id: AccountId | None = None
    region: Region | None = None


class ClusterRequest(Request, frozen=True):
    """Which cluster."""

    cluster_id: str


class HsmDescription(Response, frozen=True):
    """One HSM of a cluster."""

    hsm_id: str
    availability_zone: str
    state: HsmState
    has_kmsuser: bool


class SubnetDescription(Response, frozen=True):
    """One private subnet that the cluster was configured with."""

    subnet_id: str
    availability_zone: str
    free_addresses: int
    exists: bool


class TokenDescription(Response, frozen=True):
    """The PKCS#11 token that stands for the cluster.

    `lack` says what its module cannot do; it is found at connect, and only while this server is connected.
    """

    profile: str
    label: str
    serial_number: str
    address: str | None = None
    lack: str | None = None


class ClusterDescription(Response, frozen=True, kw_only=True):
    """A cluster. `create_timestamp` is in seconds since the epoch; PINs and passwords are never returned."""

    cloud_hsm_cluster_id: str
    account_id: str
    region: str
    state: ClusterState
    create_timestamp: float
    trust_anchor_certificate: str
    hsms: list[HsmDescription]
    subnets: list[SubnetDescription]
    network_reachable: bool
    kmsuser_exists: bool
    kmsuser_logged_in_elsewhere: bool
    kmsuser_failed_logins: int
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
    scope = Scope(request.account_id or world.home.account, request.region or world.home.region)
    now = world.clock.now()
    cluster = Cluster(
        id=cluster_id,
        scope=scope,
        state=ClusterState.UNINITIALIZED,
        created_at=now,
        trust_anchor_certificate=world.certificates.new_trust_anchor(cluster_id, now),
        hsms=new_hsms(world, scope.region, request.hsm_count),
        subnets=new_subnets(world, scope.region),
        token=None,
        crypto_officer_pin=None,
    )
    if request.hsm_count:
        cluster = activate(world, cluster, request)
        world.checkpoint(Checkpoint.TOKEN_MADE)
    with world.registry.writing() as unit:
        unit.add_cluster(cluster)
    return describe(cluster)


def list_clusters(request: ListClustersRequest, _: Call, world: World) -> ListClustersResponse:
    """List clusters, oldest first."""
    with world.registry.reading() as unit:
        clusters = unit.clusters()
    return ListClustersResponse(
        clusters=[
            describe(cluster)
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
    cluster = find_cluster(world, request.cluster_id)
    return describe(cluster, _live_connection(world, cluster))


@starting_again
def delete_cluster(request: ClusterRequest, _: Call, world: World) -> Empty:
    """Delete the cluster with its HSMs and its token. A key store that stood on it finds out by itself.

    Raises:
        CloudHsmResourceNotFoundException: there is none of this id.

    """
    cluster = find_cluster(world, request.cluster_id)
    with world.registry.writing() as unit:
        unit.remove_cluster(cluster)
    world.checkpoint(Checkpoint.CLUSTER_FORGOTTEN)
    lifecycle.interrupt(world, cluster.id)
    world.hsm.log_out_elsewhere(cluster.id)
    world.hsm.delete_token(cluster)  # the registry first: what a crash leaves is swept by doctor
    return EMPTY


def find_cluster(world: World, cluster_id: str) -> Cluster:
    """Return the cluster.

    Raises:
        CloudHsmResourceNotFoundException: there is none of this id.

    """
    with world.registry.reading() as unit:
        cluster = unit.cluster(cluster_id)
    if cluster is None:
        raise CloudHsmResourceNotFoundException(f"Cluster {cluster_id} does not exist.")
    return cluster


def new_hsms(world: World, region: str, count: int, *, has_kmsuser: bool = False) -> tuple[HsmUnit, ...]:
    """Return HSMs spread over the Region's Availability Zones."""
    return tuple(
        HsmUnit(
            id=new_hsm_id(world.entropy.random_bytes),
            availability_zone=f"{region}{ZONES[number % len(ZONES)]}",
            has_kmsuser=has_kmsuser,
        )
        for number in range(count)
    )


def activate(world: World, cluster: Cluster, request: CreateClusterRequest | None = None) -> Cluster:
    """Return the cluster ACTIVE: with a token made for it, or the one that the request adopts.

    Raises:
        CloudHsmInternalFailureException: the token is not available.
        CloudHsmInvalidRequestException: the profile does not go with a label.

    """
    request = request or CreateClusterRequest()
    pin = request.crypto_officer_pin
    makes = _makes_tokens(world, request.pkcs11_profile)
    if makes:
        pin = pin or new_password(world)
    try:
        token = _new_token(world, cluster.id, request, pin) if makes and pin else _adopt(world, request)
    except HsmUnavailable as error:
        raise CloudHsmInternalFailureException(f"The token is not available: {error.reason}.") from error
    return replace(
        cluster.with_kmsuser(exists=not makes or request.kmsuser_password is not None),
        state=ClusterState.ACTIVE,
        token=token,
        crypto_officer_pin=None if pin is None else seal_pin(world, cluster.id, pin),
    )


def _makes_tokens(world: World, profile: str | None) -> bool:
    try:
        return world.hsm.makes_tokens(profile)
    except EnvironmentUnfit as error:
        if profile is None:  # the server's own
            raise
        raise CloudHsmInvalidRequestException(f"{error}.") from error


def _new_token(world: World, cluster_id: str, request: CreateClusterRequest, pin: str) -> TokenReference:
    for member, value in (("TokenLabel", request.token_label), ("Pkcs11Address", request.pkcs11_address)):
        if value is not None:
            raise CloudHsmInvalidRequestException(
                f"{member} goes with a profile that adopts tokens, such as softhsm2-existing."
            )
    return world.hsm.create_token(
        cluster_id,
        pin,
        request.kmsuser_password,
        profile=request.pkcs11_profile,
        module=request.pkcs11_module,
    )


def _adopt(world: World, request: CreateClusterRequest) -> TokenReference:
    return world.hsm.adopt_token(
        request.token_label,
        profile=request.pkcs11_profile,
        module=request.pkcs11_module,
        address=request.pkcs11_address,
    )


def new_subnets(world: World, region: str) -> tuple[Subnet, ...]:
    """Return a private subnet in each of two Availability Zones."""
    return tuple(
        Subnet(
            id=new_subnet_id(world.entropy.random_bytes),
            availability_zone=f"{region}{zone}",
            free_addresses=SUBNET_ADDRESSES,
        )
        for zone in ZONES[:SUBNETS]
    )


def seal_pin(world: World, cluster_id: str, pin: str) -> bytes:
    """Return the crypto officer's PIN sealed for its cluster."""
    return world.sealer.seal(pin.encode(), pin_identity(cluster_id))


def pin_identity(cluster_id: str) -> str:
    """Name the place that a crypto officer's PIN is sealed for."""
    return f"cluster/{cluster_id}/crypto-officer-pin"


def _live_connection(world: World, cluster: Cluster) -> HsmConnection | None:
    with world.registry.reading() as unit:
        store = unit.key_store_of_cluster(cluster.id)
    return None if store is None else world.gate.find((store.scope, store.id))


def describe(cluster: Cluster, connection: HsmConnection | None = None) -> ClusterDescription:
    """Return what may be known of a cluster, and through its `connection` if there is one."""
    return ClusterDescription(
        cloud_hsm_cluster_id=cluster.id,
        account_id=cluster.scope.account,
        region=cluster.scope.region,
        state=cluster.state,
        create_timestamp=round(cluster.created_at, 3),
        trust_anchor_certificate=cluster.trust_anchor_certificate,
        hsms=[
            HsmDescription(
                hsm_id=hsm.id,
                availability_zone=hsm.availability_zone,
                state=hsm.state,
                has_kmsuser=hsm.has_kmsuser,
            )
            for hsm in cluster.present_hsms
        ],
        subnets=[
            SubnetDescription(
                subnet_id=subnet.id,
                availability_zone=subnet.availability_zone,
                free_addresses=subnet.free_addresses,
                exists=subnet.exists,
            )
            for subnet in cluster.subnets
        ],
        network_reachable=cluster.network_reachable,
        kmsuser_exists=cluster.kmsuser_exists,
        kmsuser_logged_in_elsewhere=cluster.kmsuser_elsewhere,
        kmsuser_failed_logins=cluster.failed_logins,
        token=None if cluster.token is None else _describe_token(cluster.token, connection),
    )


def _describe_token(token: TokenReference, connection: HsmConnection | None) -> TokenDescription:
    return TokenDescription(
        profile=token.profile,
        label=token.label,
        serial_number=token.serial,
        address=token.address,
        lack=None if connection is None else lacking_for_keys(connection.mechanisms),
    )
