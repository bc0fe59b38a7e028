"""CloudHSM key stores: what their cluster must be, and the kmsuser password that KMS remembers.

Rules: KMS API Reference, CreateCustomKeyStore and UpdateCustomKeyStore. The texts, and which of several
faults is named first, are ours.
"""

import hmac
from collections.abc import Iterator
from dataclasses import replace

from hsmstore.domain.cluster import Cluster, ClusterState
from hsmstore.domain.connection import Action
from hsmstore.domain.errors import (
    CloudHsmClusterInUseException,
    CloudHsmClusterInvalidConfigurationException,
    CloudHsmClusterNotActiveException,
    CloudHsmClusterNotFoundException,
    CloudHsmClusterNotRelatedException,
    IncorrectTrustAnchorException,
)
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore
from hsmstore.domain.limits import HSMS_TO_CREATE
from hsmstore.domain.ports import SealBroken, Unit
from hsmstore.service.login import password_identity
from hsmstore.service.world import World


def new_backing(
    world: World,
    unit: Unit,
    scope: Scope,
    key_store_id: str,
    *,
    cluster_id: str,
    trust_anchor: str,
    password: str,
) -> CloudHsmBacking:
    """Check the cluster for a new store and return the backing, its password sealed.

    Raises:
        CloudHsmClusterNotFoundException, CloudHsmClusterNotActiveException,
        CloudHsmClusterInvalidConfigurationException, CloudHsmClusterInUseException,
        IncorrectTrustAnchorException: as documented, in this order.

    """
    cluster = _fit_cluster(unit, scope, cluster_id)
    _require_unused(world, unit, cluster)
    if not world.certificates.same(trust_anchor, cluster.trust_anchor_certificate):
        raise IncorrectTrustAnchorException(
            f"The trust anchor certificate is not that of CloudHSM cluster {cluster_id}."
        )
    return CloudHsmBacking(
        cluster_id=cluster_id,
        trust_anchor_certificate=trust_anchor,
        password=_seal(world, key_store_id, password),
    )


def updated_backing(
    world: World,
    unit: Unit,
    store: KeyStore,
    backing: CloudHsmBacking,
    *,
    cluster_id: str | None,
    password: str | None,
) -> CloudHsmBacking:
    """Return the backing with a related cluster, or with what the caller says is kmsuser's password now.

    Naming the cluster that the store has already changes nothing, and is allowed in every state: Terraform
    sends it with each rename.

    Raises:
        CustomKeyStoreInvalidStateException: a change while the store is not DISCONNECTED.
        CloudHsmClusterNotFoundException, CloudHsmClusterNotActiveException,
        CloudHsmClusterInvalidConfigurationException, CloudHsmClusterNotRelatedException: the new
            cluster will not do.

    """
    if cluster_id is not None and cluster_id != backing.cluster_id:
        store.require(Action.UPDATE_CLUSTER)
        _require_related(world, backing, _fit_cluster(unit, store.scope, cluster_id))
        backing = replace(backing, cluster_id=cluster_id)
    if password is not None:
        store.require(Action.UPDATE_CLUSTER)
        sealed = _seal(world, store.id, password)
        backing = replace(backing, password=sealed, pending_password=None)
    return backing


def is_same(
    world: World,
    store: KeyStore,
    backing: CloudHsmBacking,
    *,
    cluster_id: str,
    trust_anchor: str,
    password: str,
) -> bool:
    """Tell whether a repeated Create names exactly this backing."""
    if cluster_id != backing.cluster_id:
        return False
    if not world.certificates.same(trust_anchor, backing.trust_anchor_certificate):
        return False
    try:
        known = world.sealer.unseal(backing.password, password_identity(store.id))
    except SealBroken:
        return False
    return hmac.compare_digest(known, password.encode())


def require_active(cluster: Cluster) -> None:
    """Refuse a cluster that has not been initialised and activated.

    Raises:
        CloudHsmClusterNotActiveException: it is not ACTIVE.

    """
    if cluster.state is not ClusterState.ACTIVE:
        raise CloudHsmClusterNotActiveException(
            f"CloudHSM cluster {cluster.id} is {cluster.state}; it must be ACTIVE."
        )


def require_hsms(cluster: Cluster) -> None:
    """Refuse a cluster without two active HSMs in two Availability Zones.

    Raises:
        CloudHsmClusterInvalidConfigurationException: it has fewer.

    """
    if min(len(cluster.active_hsms), len(cluster.active_zones)) < HSMS_TO_CREATE:
        raise CloudHsmClusterInvalidConfigurationException(
            f"CloudHSM cluster {cluster.id} has {len(cluster.active_hsms)} active HSMs in"
            f" {len(cluster.active_zones)} Availability Zones; it needs at least {HSMS_TO_CREATE} in"
            f" {HSMS_TO_CREATE}."
        )


def _fit_cluster(unit: Unit, scope: Scope, cluster_id: str) -> Cluster:
    cluster = unit.cluster(cluster_id)
    if cluster is None or cluster.scope != scope:
        elsewhere = (
            ""
            if cluster is None
            else f" It is in account {cluster.scope.account}, Region {cluster.scope.region}."
        )
        raise CloudHsmClusterNotFoundException(
            f"CloudHSM cluster {cluster_id} does not exist in account {scope.account},"
            f" Region {scope.region}.{elsewhere}"
        )
    require_active(cluster)
    require_hsms(cluster)
    return cluster


def _require_unused(world: World, unit: Unit, cluster: Cluster) -> None:
    """Refuse a cluster that backs a store, or whose relative does or did: one from the same backups."""
    for backing in _stranded(unit, cluster.scope):
        if world.certificates.same(backing.trust_anchor_certificate, cluster.trust_anchor_certificate):
            raise CloudHsmClusterInUseException(
                f"CloudHSM cluster {cluster.id} shares a backup history with {backing.cluster_id}, which is"
                " associated with a custom key store, though deleted."
            )
    for relative in unit.clusters(cluster.scope):
        related = relative.trust_anchor_certificate == cluster.trust_anchor_certificate
        if related and unit.key_store_of_cluster(relative.id) is not None:
            raise CloudHsmClusterInUseException(
                f"CloudHSM cluster {relative.id} is already associated with a custom key store."
                if relative.id == cluster.id
                else f"CloudHSM cluster {cluster.id} shares a backup history with {relative.id}, which is"
                " already associated with a custom key store."
            )


def _stranded(unit: Unit, scope: Scope) -> Iterator[CloudHsmBacking]:
    for store in unit.stranded_key_stores():
        if store.scope == scope and isinstance(store.backing, CloudHsmBacking):
            yield store.backing


def _require_related(world: World, backing: CloudHsmBacking, cluster: Cluster) -> None:
    if not world.certificates.same(backing.trust_anchor_certificate, cluster.trust_anchor_certificate):
        raise CloudHsmClusterNotRelatedException(
            f"CloudHSM cluster {cluster.id} does not share the cluster certificate of {backing.cluster_id}."
        )


def _seal(world: World, key_store_id: str, password: str) -> bytes:
    return world.sealer.seal(password.encode(), password_identity(key_store_id))
