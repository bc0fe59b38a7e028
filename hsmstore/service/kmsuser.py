"""kmsuser, the crypto user as whom KMS logs in: what a cluster's owner does to it behind KMS's back."""

from dataclasses import replace
from typing import Annotated

from hsmstore.domain.cluster import Cluster, HsmUnit
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import CloudHsmInvalidRequestException
from hsmstore.domain.ports import HsmUnavailable, SealBroken
from hsmstore.service.clusters import (
    ClusterDescription,
    ClusterRequest,
    describe,
    find_cluster,
    pin_identity,
)
from hsmstore.service.login import new_password
from hsmstore.service.shapes import Password, Request, text
from hsmstore.service.world import Call, World, starting_again

HsmId = Annotated[str, text(15, 20, r"hsm-[2-7a-zA-Z]{11,16}")]


class KmsuserRequest(Request, frozen=True):
    """Which cluster's kmsuser, and its password; with `hsm_id`, on that HSM alone."""

    cluster_id: str
    password: Password
    hsm_id: HsmId | None = None


class DeleteKmsuserRequest(Request, frozen=True):
    """Which cluster's kmsuser; with `hsm_id`, on that HSM alone."""

    cluster_id: str
    hsm_id: HsmId | None = None


@starting_again
def create_kmsuser(request: KmsuserRequest, _: Call, world: World) -> ClusterDescription:
    """Create the crypto user kmsuser, on all HSMs or on one.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: it exists, is logged in, or the SO PIN is not known here.

    """
    cluster = find_cluster(world, request.cluster_id)
    if not any(not hsm.has_kmsuser for hsm in _hsms(cluster, request.hsm_id)):
        raise CloudHsmInvalidRequestException(f"Cluster {cluster.id} already has a kmsuser.")
    _set_password(world, cluster, request.password)
    after = cluster.with_kmsuser(exists=True, hsm_id=request.hsm_id)
    return _commit(world, cluster, replace(after, failed_logins=0))


@starting_again
def set_kmsuser_password(request: KmsuserRequest, _: Call, world: World) -> ClusterDescription:
    """Set kmsuser's password as the crypto officer, which also lifts a lock-out.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: no kmsuser, it is logged in, or the SO PIN is not known here.

    """
    cluster = find_cluster(world, request.cluster_id)
    _require_kmsuser(cluster, request.hsm_id)
    _set_password(world, cluster, request.password)
    return _commit(world, cluster, replace(cluster, failed_logins=0))


@starting_again
def delete_kmsuser(request: DeleteKmsuserRequest, _: Call, world: World) -> ClusterDescription:
    """Delete the crypto user, from all HSMs or from one.

    A PKCS#11 token cannot forget its user: when the last is gone the PIN becomes one that nobody knows.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: no kmsuser, it is logged in, or the SO PIN is not known here.

    """
    cluster = find_cluster(world, request.cluster_id)
    _require_kmsuser(cluster, request.hsm_id)
    after = cluster.with_kmsuser(exists=False, hsm_id=request.hsm_id)
    if not any(hsm.has_kmsuser for hsm in after.hsms):
        _set_password(world, cluster, new_password(world))
    return _commit(world, cluster, after)


@starting_again
def log_in_kmsuser(request: ClusterRequest, _: Call, world: World) -> ClusterDescription:
    """Log kmsuser in from another process, as a person with the client tools would.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: no kmsuser, it is locked out, or logged in, by KMS or otherwise.

    """
    cluster = find_cluster(world, request.cluster_id)
    _require_kmsuser(cluster, None)
    if cluster.locked_out:
        raise CloudHsmInvalidRequestException("kmsuser is locked out; setting its password lifts that.")
    _require_unheld(world, cluster)
    try:
        if not world.replica.shared:
            world.hsm.log_in_elsewhere(cluster)
    except HsmUnavailable as error:
        raise CloudHsmInvalidRequestException(f"kmsuser cannot log in: {error.reason}.") from error
    return _commit(world, cluster, replace(cluster, kmsuser_elsewhere=True))


@starting_again
def log_out_kmsuser(request: ClusterRequest, _: Call, world: World) -> ClusterDescription:
    """End the session that `log_in_kmsuser` began.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.

    """
    cluster = find_cluster(world, request.cluster_id)
    world.hsm.log_out_elsewhere(cluster.id)
    return _commit(world, cluster, replace(cluster, kmsuser_elsewhere=False))


def _hsms(cluster: Cluster, hsm_id: str | None) -> list[HsmUnit]:
    hsms = [hsm for hsm in cluster.present_hsms if hsm_id in {None, hsm.id}]
    if not hsms:
        raise CloudHsmInvalidRequestException(f"Cluster {cluster.id} has no {hsm_id or 'HSM'}.")
    return hsms


def _require_kmsuser(cluster: Cluster, hsm_id: str | None) -> None:
    if not any(hsm.has_kmsuser for hsm in _hsms(cluster, hsm_id)):
        raise CloudHsmInvalidRequestException(f"Cluster {cluster.id} has no kmsuser.")


def _require_unheld(world: World, cluster: Cluster) -> None:
    """Refuse where KMS is logged in through any replica. With one process the HSM itself tells."""
    if not world.replica.shared:
        return
    with world.registry.reading() as unit:
        store = unit.key_store_of_cluster(cluster.id)
        is_held = store is not None and unit.leases.is_held(store.id)
    if is_held or cluster.kmsuser_elsewhere:
        raise CloudHsmInvalidRequestException("kmsuser cannot log in: kmsuser is logged in already.")


def _set_password(world: World, cluster: Cluster, password: str) -> None:
    """Set the PIN on the token with C_InitPIN, where KMS is not logged in or, after a start, about to be."""
    with world.registry.reading() as unit:
        store = unit.key_store_of_cluster(cluster.id)
    if store is not None and store.state is ConnectionState.CONNECTED:
        raise CloudHsmInvalidRequestException(
            f"kmsuser cannot be changed: it is logged in for key store {store.id}."
        )
    if world.replica.shared and cluster.kmsuser_elsewhere:  # with one process the HSM itself tells
        raise CloudHsmInvalidRequestException("kmsuser cannot be changed: it is logged in.")
    if cluster.crypto_officer_pin is None:
        raise CloudHsmInvalidRequestException(
            f"Cluster {cluster.id} has no token here whose SO PIN is known; use the token's own tools."
        )
    try:
        pin = world.sealer.unseal(cluster.crypto_officer_pin, pin_identity(cluster.id)).decode()
        world.hsm.reset_password(cluster, pin, password)
    except (HsmUnavailable, SealBroken) as error:
        raise CloudHsmInvalidRequestException(f"kmsuser cannot be changed: {error}.") from error


def _commit(world: World, before: Cluster, after: Cluster) -> ClusterDescription:
    """Write the facts after the token's."""
    with world.registry.writing() as unit:
        return describe(unit.replace_cluster(before, after))
