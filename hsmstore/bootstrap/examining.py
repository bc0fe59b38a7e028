"""What `doctor` looks at."""

import shlex
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from hsmstore.bootstrap.looseness import examine_door
from hsmstore.bootstrap.parts import (
    open_hsm,
    open_sealer,
    open_world,
)
from hsmstore.domain.attestation import Root
from hsmstore.domain.causes import CAUSES
from hsmstore.domain.cluster import Backup, Cluster
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.findings import Finding
from hsmstore.domain.key import Remains
from hsmstore.domain.keystore import ConnectionErrorCode, KeyStore
from hsmstore.domain.ports import Unit
from hsmstore.service.keys.material import sweep
from hsmstore.settings.fields import Settings
from hsmstore.storage.migrations import SchemaState, current_state, upgrade
from hsmstore.storage.registry import SqlRegistry
from hsmstore.system.ownership import owned
from hsmstore.system.principals import FilePrincipals
from hsmstore.system.secretfile import is_open_to_others


def examine(settings: Settings, *, fix: bool = False) -> list[Finding]:
    """Look at everything that a server needs, and say what is wrong with it.

    With `fix`, and where no server is using it, what can be mended without losing anything is mended.
    """
    room = _examine_data_dir(settings)
    if not (fix and room.ok and settings.data_dir.exists()):
        return [room, *_examine_inside(settings)]
    with owned(settings.data_dir):
        return [room, *_examine_inside(settings, fix=True)]


def _examine_inside(settings: Settings, *, fix: bool = False) -> list[Finding]:
    registry, clusters, backups, inside = _examine_registry(settings, fix=fix)
    roots = [_examine_root(root) for root in settings.attestation_root]
    roots += [] if settings.principals is None else [_examine_principals(settings.principals)]
    roots += examine_door(settings)
    with suppress(OSError):  # who tries the module makes what is missing of its path, open to others
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [registry, *inside, *roots, *open_hsm(settings).inspect(clusters, backups, fix=fix)]


def _examine_data_dir(settings: Settings) -> Finding:
    subject = f"data directory {settings.data_dir}"
    if not settings.data_dir.exists():
        return Finding(subject=subject, detail="not there yet; the first start makes it")
    try:
        with owned(settings.data_dir):
            open_sealer(settings)
    except EnvironmentUnfit as error:
        return Finding(subject=subject, detail=error.reason, mend=error.mend)
    return Finding(subject=subject, detail="usable, and no server is using it")


def _examine_root(root: Root) -> Finding:
    from hsmstore.attestation.roots import load_roots  # noqa: PLC0415  # loads X.509, for who configured one

    subject = f"attestation root {root}"
    try:
        load_roots([root])
    except EnvironmentUnfit as error:
        return Finding(subject=subject, detail=error.reason, mend=error.mend)
    return Finding(subject=subject, detail="can be trusted")


def _examine_principals(path: Path) -> Finding:
    subject = f"principals {path}"
    try:
        known = FilePrincipals(path).credentials
    except EnvironmentUnfit as error:
        return Finding(subject=subject, detail=error.reason, mend=error.mend)
    if is_open_to_others(path):
        detail = "open to other users, and holds secrets"
        return Finding(subject=subject, detail=detail, mend=f"chmod 600 {shlex.quote(str(path))}")
    return Finding(subject=subject, detail=f"{len(known)} credentials")


class _Registered(NamedTuple):
    """What there is to say of the registry; its clusters are None where it cannot be read."""

    finding: Finding
    clusters: list[Cluster] | None = None
    backups: Sequence[Backup] = ()
    inside: Sequence[Finding] = ()


def _examine_registry(settings: Settings, *, fix: bool) -> _Registered:
    """Look at the registry, and return what it holds."""
    subject, migrated = "registry", ""
    if settings.database_url is None and not settings.data_dir.exists():
        return _Registered(Finding(subject=subject, detail="not there yet; the first start makes it"))
    try:
        state = current_state(settings.registry_url)
        if state is not SchemaState.CURRENT and not fix:
            detail = f"{state.name.lower()}; the next start migrates it"
            return _Registered(Finding(subject=subject, detail=detail))
        if state is not SchemaState.CURRENT:
            upgrade(settings.registry_url)
            migrated = f"{state.name.lower()}: migrated; "
        if fix:
            with open_world(settings) as world:
                sweep(world)
        with closing(SqlRegistry(settings.registry_url)) as registry, registry.reading() as unit:
            clusters, backups, stranded = unit.clusters(), unit.backups(), unit.stranded_key_stores()
            orphans = [
                _orphan(unit, remains) for remains in unit.remains() if unit.cluster(remains.cluster_id)
            ]
    except EnvironmentUnfit as error:
        return _Registered(Finding(subject=subject, detail=error.reason, mend=error.mend))
    finding = Finding(subject=subject, detail=f"{migrated}current; {len(clusters)} clusters")
    return _Registered(finding, clusters, backups, [*(_stranded(store) for store in stranded), *orphans])


def _stranded(store: KeyStore) -> Finding:
    """Say of a key store whose cluster has been deleted what AWS's documentation says."""
    cause = CAUSES[ConnectionErrorCode.CLUSTER_NOT_FOUND]
    steps = (step.partition("  #")[0].format(store=store.id, cluster="CLUSTER") for step in cause.mend)
    return Finding(
        subject=store.id,
        detail=f"key store {store.name}: {cause.meaning}",
        mend=f"{'; '.join(f'hsmstore {step}' for step in steps)}; or delete the key store",
    )


def _orphan(unit: Unit, remains: Remains) -> Finding:
    """Say of key material that no key has how it came about, and how to be rid of it."""
    store = unit.key_store(remains.scope, remains.key_store_id)
    mend = "hsmstore doctor --fix"
    if store is None:
        mend = f"hsmstore cluster delete {remains.cluster_id}, if nothing else in it is needed"
    elif store.state is not ConnectionState.CONNECTED:
        mend = (
            f"hsmstore store connect {store.id}; hsmstore cluster key delete {remains.cluster_id}"
            f" {remains.key_id}"
        )
    came_about = (
        "its key was never finished"
        if remains.unfinished
        else "its key was deleted, out of the cluster's reach"
    )
    return Finding(
        subject=remains.arn,
        detail=f"key material may be left on {remains.cluster_id}: {came_about}",
        mend=mend,
    )
