"""The HSMs, subnets and network of a cluster: what can go wrong behind a key store, brought about."""

from dataclasses import replace
from typing import Annotated

import msgspec

from hsmstore.domain.cluster import Cluster, HsmState, HsmUnit, Subnet
from hsmstore.domain.errors import CloudHsmInvalidRequestException, CloudHsmResourceNotFoundException
from hsmstore.domain.identifiers import new_hsm_id
from hsmstore.domain.limits import HSMS_PER_CLUSTER, SUBNET_ADDRESSES
from hsmstore.service import lifecycle
from hsmstore.service.clusters import ZONES, ClusterDescription, activate, describe, find_cluster
from hsmstore.service.shapes import Request, text
from hsmstore.service.world import Call, World, starting_again

Zone = Annotated[str, text(1, 64, r"[a-z0-9-]+")]


class AddHsmRequest(Request, frozen=True):
    """Where to add an HSM; by default in the zone that has the fewest."""

    cluster_id: str
    availability_zone: Zone | None = None


class HsmRequest(Request, frozen=True):
    """Which HSM."""

    cluster_id: str
    hsm_id: str


class NetworkRequest(Request, frozen=True):
    """Whether KMS can reach the cluster."""

    cluster_id: str
    reachable: bool


class SubnetRequest(Request, frozen=True):
    """Which subnet, and what has become of it: how many free addresses, whether it exists."""

    cluster_id: str
    subnet_id: str
    free_addresses: Annotated[int, msgspec.Meta(ge=0, le=SUBNET_ADDRESSES)] | None = None
    exists: bool | None = None


@starting_again
def add_hsm(request: AddHsmRequest, _: Call, world: World) -> ClusterDescription:
    """Add an HSM. It starts as a copy of its siblings, users included; the first one activates the cluster.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: it has as many HSMs as a cluster may have.

    """
    cluster = find_cluster(world, request.cluster_id)
    if len(cluster.present_hsms) >= HSMS_PER_CLUSTER:
        raise CloudHsmInvalidRequestException(f"A cluster has at most {HSMS_PER_CLUSTER} HSMs.")
    hsm = HsmUnit(
        id=new_hsm_id(world.entropy.random_bytes),
        availability_zone=request.availability_zone or _emptiest_zone(cluster),
        has_kmsuser=any(hsm.has_kmsuser for hsm in cluster.hsms),
    )
    after = replace(cluster, hsms=(*cluster.present_hsms, hsm))
    return _commit(world, cluster, activate(world, after) if cluster.token is None else after)


@starting_again
def remove_hsm(request: HsmRequest, _: Call, world: World) -> ClusterDescription:
    """Delete an HSM. The cluster keeps its keys and users when the last one goes, as in life.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster or HSM.

    """
    cluster = find_cluster(world, request.cluster_id)
    hsm = _hsm(cluster, request.hsm_id)
    left = tuple(other for other in cluster.hsms if other is not hsm)
    return _commit(world, cluster, replace(cluster, hsms=left or (replace(hsm, state=HsmState.DELETED),)))


@starting_again
def stop_hsm(request: HsmRequest, _: Call, world: World) -> ClusterDescription:
    """Let an HSM answer no more: it is DEGRADED.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster or HSM.

    """
    return _switch(world, request, HsmState.DEGRADED)


@starting_again
def start_hsm(request: HsmRequest, _: Call, world: World) -> ClusterDescription:
    """Let a stopped HSM answer again: it is ACTIVE.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster or HSM.

    """
    return _switch(world, request, HsmState.ACTIVE)


@starting_again
def set_network(request: NetworkRequest, _: Call, world: World) -> ClusterDescription:
    """Cut the network between KMS and the cluster, or restore it.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.

    """
    cluster = find_cluster(world, request.cluster_id)
    return _commit(world, cluster, replace(cluster, network_reachable=request.reachable))


@starting_again
def set_subnet(request: SubnetRequest, _: Call, world: World) -> ClusterDescription:
    """Use up or free a subnet's addresses, delete the subnet or bring it back.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster or subnet.

    """
    cluster = find_cluster(world, request.cluster_id)
    if request.subnet_id not in {subnet.id for subnet in cluster.subnets}:
        raise CloudHsmResourceNotFoundException(f"Cluster {cluster.id} has no subnet {request.subnet_id}.")
    subnets = (
        _changed(subnet, request) if subnet.id == request.subnet_id else subnet for subnet in cluster.subnets
    )
    return _commit(world, cluster, replace(cluster, subnets=tuple(subnets)))


def _changed(subnet: Subnet, request: SubnetRequest) -> Subnet:
    free = request.free_addresses
    return replace(
        subnet,
        free_addresses=subnet.free_addresses if free is None else free,
        exists=subnet.exists if request.exists is None else request.exists,
    )


def _switch(world: World, request: HsmRequest, state: HsmState) -> ClusterDescription:
    cluster = find_cluster(world, request.cluster_id)
    hsm = _hsm(cluster, request.hsm_id)
    hsms = (replace(hsm, state=state) if other is hsm else other for other in cluster.hsms)
    return _commit(world, cluster, replace(cluster, hsms=tuple(hsms)))


def _hsm(cluster: Cluster, hsm_id: str) -> HsmUnit:
    for hsm in cluster.present_hsms:
        if hsm.id == hsm_id:
            return hsm
    raise CloudHsmResourceNotFoundException(f"Cluster {cluster.id} has no HSM {hsm_id}.")


def _emptiest_zone(cluster: Cluster) -> str:
    zones = [f"{cluster.scope.region}{letter}" for letter in ZONES]
    taken = [hsm.availability_zone for hsm in cluster.hsms]
    return min(zones, key=taken.count)


def _commit(world: World, before: Cluster, after: Cluster) -> ClusterDescription:
    """Write the change; a key store that is connected finds out at its next call."""
    with world.registry.writing() as unit:
        committed = unit.replace_cluster(before, after)
    lifecycle.interrupt(world, before.id)
    return describe(committed)
