"""Backups of clusters. A cluster made from one shares its certificate, keys, users and passwords."""

from dataclasses import replace
from typing import Annotated

import msgspec

from hsmstore.domain.cluster import Backup, ClusterState
from hsmstore.domain.errors import CloudHsmInvalidRequestException, CloudHsmResourceNotFoundException
from hsmstore.domain.identifiers import new_backup_id, new_cluster_id
from hsmstore.domain.limits import HSMS_PER_CLUSTER, HSMS_TO_CREATE
from hsmstore.domain.ports import HsmUnavailable
from hsmstore.service.clusters import (
    ClusterDescription,
    ClusterRequest,
    describe,
    find_cluster,
    new_hsms,
    new_subnets,
    pin_identity,
    seal_pin,
)
from hsmstore.service.shapes import EMPTY, Empty, Request, Response
from hsmstore.service.world import Call, World


class BackupRequest(Request, frozen=True):
    """Which backup."""

    backup_id: str


class RestoreRequest(Request, frozen=True):
    """Which backup to make a cluster from, and with how many HSMs."""

    backup_id: str
    hsm_count: Annotated[int, msgspec.Meta(ge=1, le=HSMS_PER_CLUSTER)] = HSMS_TO_CREATE


class ListBackupsRequest(Request, frozen=True):
    """Nothing to say."""


class BackupDescription(Response, frozen=True, kw_only=True):
    """A backup; `create_timestamp` is in seconds since the epoch."""

    backup_id: str
    cluster_id: str
    account_id: str
    region: str
    create_timestamp: float


class ListBackupsResponse(Response, frozen=True):
    """The backups, oldest first."""

    backups: list[BackupDescription]


def create_backup(request: ClusterRequest, _: Call, world: World) -> BackupDescription:
    """Back a cluster up: its token with keys and users, its certificate.

    Raises:
        CloudHsmResourceNotFoundException: no such cluster.
        CloudHsmInvalidRequestException: its token is not ours to copy.

    """
    cluster = find_cluster(world, request.cluster_id)
    backup = Backup(
        id=new_backup_id(world.entropy.random_bytes), cluster=cluster, created_at=world.clock.now()
    )
    try:
        world.hsm.back_up(cluster, backup.id)
    except HsmUnavailable as error:
        raise CloudHsmInvalidRequestException(f"There is nothing to copy: {error.reason}.") from error
    with world.registry.writing() as unit:
        unit.add_backup(backup)
    return _description(backup)


def list_backups(_: ListBackupsRequest, __: Call, world: World) -> ListBackupsResponse:
    """List backups, oldest first."""
    with world.registry.reading() as unit:
        return ListBackupsResponse(backups=[_description(backup) for backup in unit.backups()])


def restore_backup(request: RestoreRequest, _: Call, world: World) -> ClusterDescription:
    """Make a new cluster from a backup, in the same account and Region, in subnets of its own.

    Raises:
        CloudHsmResourceNotFoundException: no such backup.
        CloudHsmInvalidRequestException: its copy is gone.

    """
    backup = _find(world, request.backup_id)
    old = backup.cluster
    cluster = replace(
        old,
        id=new_cluster_id(world.entropy.random_bytes),
        state=ClusterState.ACTIVE,
        created_at=world.clock.now(),
        hsms=new_hsms(world, old.scope.region, request.hsm_count, has_kmsuser=old.kmsuser_exists),
        subnets=new_subnets(world, old.scope.region),
        network_reachable=True,
        kmsuser_elsewhere=False,
        version=1,
    )
    if old.crypto_officer_pin is not None:
        pin = world.sealer.unseal(old.crypto_officer_pin, pin_identity(old.id)).decode()
        cluster = replace(cluster, crypto_officer_pin=seal_pin(world, cluster.id, pin))
    try:
        world.hsm.restore(backup.id, cluster.id)
    except HsmUnavailable as error:
        raise CloudHsmInvalidRequestException(f"The backup cannot be used: {error.reason}.") from error
    with world.registry.writing() as unit:
        unit.add_cluster(cluster)
    return describe(cluster)


def delete_backup(request: BackupRequest, _: Call, world: World) -> Empty:
    """Delete a backup and its copy of the token.

    Raises:
        CloudHsmResourceNotFoundException: no such backup.

    """
    backup = _find(world, request.backup_id)
    with world.registry.writing() as unit:
        unit.remove_backup(backup.id)
    world.hsm.delete_backup(backup.id)
    return EMPTY


def _find(world: World, backup_id: str) -> Backup:
    with world.registry.reading() as unit:
        backup = unit.backup(backup_id)
    if backup is None:
        raise CloudHsmResourceNotFoundException(f"Backup {backup_id} does not exist.")
    return backup


def _description(backup: Backup) -> BackupDescription:
    return BackupDescription(
        backup_id=backup.id,
        cluster_id=backup.cluster.id,
        account_id=backup.cluster.scope.account,
        region=backup.cluster.scope.region,
        create_timestamp=round(backup.created_at, 3),
    )
