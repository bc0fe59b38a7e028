"""The Registry on a SQL database.

Every statement is built once, at import; a call fills in its parameters. A row is replaced or removed
only where its state and version are still what its caller read: the database decides the race, and the
loser gets Conflict.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any, Final

from msgspec import json
from sqlalchemy import Connection, Executable, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import TimeoutError as QueueTimeout

from hsmstore.domain.clock import ClockSetting
from hsmstore.domain.cluster import Backup, Cluster
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import Conflict, EnvironmentUnfit
from hsmstore.domain.faults import Fault
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import KeyStore
from hsmstore.domain.notices import Notice, Topic
from hsmstore.storage.engine import LOCK_PATIENCE, open_engine
from hsmstore.storage.keyunit import SqlKeyUnit
from hsmstore.storage.leases import SqlLeases
from hsmstore.storage.listunit import SqlListUnit
from hsmstore.storage.models import (
    backups,
    clock,
    clusters,
    faults,
    hsms,
    key_stores,
    kms_keys,
    subnets,
)
from hsmstore.storage.notices import Teller, is_shared
from hsmstore.storage.precedence import Precedence
from hsmstore.storage.proxyunit import SqlProxyUnit
from hsmstore.storage.purpose import Purpose
from hsmstore.storage.rows import (
    cluster_of,
    cluster_row,
    hsm_rows,
    key_store_of,
    key_store_row,
    subnet_rows,
)
from hsmstore.storage.tallyunit import SqlTallyUnit
from hsmstore.storage.trailunit import SqlTrailUnit

_store = key_stores.c
_in_scope = (_store.account == bindparam("account"), _store.region == bindparam("region"))

_STORE: Final = select(key_stores).where(_store.id == bindparam("id"), *_in_scope)
_STORE_NAMED: Final = select(key_stores).where(*_in_scope, _store.name == bindparam("name"))
_STORE_OF_CLUSTER: Final = select(key_stores).where(_store.cluster_id == bindparam("cluster_id"))
_DUE: Final = select(key_stores).where(_store.due_at <= bindparam("now")).order_by(_store.due_at, _store.id)
_CONNECTED: Final = select(key_stores).where(_store.state == ConnectionState.CONNECTED.value)
_NEXT_DUE: Final = (select(func.min(_store.due_at)), select(func.min(kms_keys.c.deletion_at)))
_LATEST_CHANGE: Final = select(func.max(_store.state_since))
_unchanged_store = (
    _store.id == bindparam("old_id"),
    _store.state == bindparam("old_state"),
    _store.version == bindparam("old_version"),
)
_REPLACE_STORE: Final = update(key_stores).where(*_unchanged_store)
_REMOVE_STORE: Final = delete(key_stores).where(*_unchanged_store)

_cluster = clusters.c
_unchanged_cluster = (_cluster.id == bindparam("old_id"), _cluster.version == bindparam("old_version"))
_CLUSTER: Final = select(clusters).where(_cluster.id == bindparam("id"))
_ALL_CLUSTERS: Final = select(clusters).order_by(_cluster.created_at, _cluster.id)
_SCOPED_CLUSTERS: Final = _ALL_CLUSTERS.where(
    _cluster.account == bindparam("account"), _cluster.region == bindparam("region")
)
_REPLACE_CLUSTER: Final = update(clusters).where(*_unchanged_cluster)
_REMOVE_CLUSTER: Final = delete(clusters).where(*_unchanged_cluster)
_STRANDED: Final = (
    select(key_stores)
    .where(_store.cluster_id.is_not(None), _store.cluster_id.not_in(select(_cluster.id)))
    .order_by(_store.created_at, _store.id)
)
_HSMS: Final = select(hsms).where(hsms.c.cluster_id == bindparam("id")).order_by(hsms.c.position)
_ALL_HSMS: Final = select(hsms).order_by(hsms.c.cluster_id, hsms.c.position)
_REMOVE_HSMS: Final = delete(hsms).where(hsms.c.cluster_id == bindparam("id"))
_SUBNETS: Final = select(subnets).where(subnets.c.cluster_id == bindparam("id")).order_by(subnets.c.position)
_ALL_SUBNETS: Final = select(subnets).order_by(subnets.c.cluster_id, subnets.c.position)
_REMOVE_SUBNETS: Final = delete(subnets).where(subnets.c.cluster_id == bindparam("id"))

_BACKUPS: Final = select(backups).order_by(backups.c.created_at, backups.c.id)
_BACKUP: Final = select(backups).where(backups.c.id == bindparam("id"))
_REMOVE_BACKUP: Final = delete(backups).where(backups.c.id == bindparam("id"))
_FAULTS: Final = select(faults).order_by(faults.c.number)
_CLOCK: Final = select(clock)


class SqlRegistry:
    """The Registry behind a database URL whose schema is current. Safe to share between threads.

    Raises:
        EnvironmentUnfit: at the start of any unit, where the database cannot be used.

    """

    def __init__(self, url: str) -> None:
        self._reader = open_engine(url, Purpose.READ)
        self._writer = open_engine(url, Purpose.WRITE)
        self._renewer = open_engine(url, Purpose.RENEW) if is_shared(url) else self._writer
        self._teller = Teller()
        self._precedence = Precedence()
        self._counting = threading.Lock()
        self._writes = 0

    @contextmanager
    def reading(self) -> Iterator["SqlUnit"]:
        """Open a unit that only reads: one snapshot, and the database refuses to write."""
        try:
            connection = self._reader.connect()
        except QueueTimeout:
            raise EnvironmentUnfit(
                f"every connection to the database was in use for {LOCK_PATIENCE:g} seconds",
                "see what keeps the database busy",
            ) from None
        with connection:
            yield SqlUnit(connection)

    @contextmanager
    def writing(self) -> Iterator["SqlUnit"]:
        """Open a unit that may write. It waits for the writer before it; an exception rolls it back.

        Other replicas get notice of what it changed, once it is committed.

        Raises:
            Conflict: the database could not order it among the others.

        """
        try:
            connection = self._writer.connect()
        except QueueTimeout:
            raise Conflict(f"other writers held the database for {LOCK_PATIENCE:g} seconds") from None
        try:
            with self._precedence.noted(), connection, connection.begin():
                self._precedence.take(connection)
                unit = SqlUnit(connection)
                yield unit
                self._teller.tell(connection, unit.notices)
        finally:
            with self._counting:
                self._writes += 1

    def writes(self) -> int:
        """Return how many units that may write have ended here."""
        return self._writes

    @contextmanager
    def renewing(self) -> Iterator[SqlLeases]:
        """Open a transaction on leases only. It waits for who changes the same lease, and for nobody else."""
        with self._renewer.begin() as connection:
            yield SqlLeases(connection)

    def close(self) -> None:
        """Close the connections; the last one to leave folds SQLite's log into its file."""
        self._reader.dispose()
        self._writer.dispose()
        self._renewer.dispose()


class SqlUnit(SqlListUnit, SqlKeyUnit, SqlTrailUnit, SqlTallyUnit, SqlProxyUnit):
    """The Unit of one open transaction. It belongs to the thread that opened it.

    `notices` gathers what it has changed.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.leases: Final = SqlLeases(connection)
        self.notices: list[Notice] = []

    # Key stores.

    def key_store(self, scope: Scope, key_store_id: str) -> KeyStore | None:
        """Return the store of this id."""
        return self._key_store(_STORE, {"id": key_store_id, **scope._asdict()})

    def key_store_named(self, scope: Scope, name: str) -> KeyStore | None:
        """Return the store of this name."""
        return self._key_store(_STORE_NAMED, {"name": name, **scope._asdict()})

    def key_store_of_cluster(self, cluster_id: str) -> KeyStore | None:
        """Return the store that the cluster backs."""
        return self._key_store(_STORE_OF_CLUSTER, {"cluster_id": cluster_id})

    def due_key_stores(self, now: float) -> list[KeyStore]:
        """Return every store, of any scope, whose phase is over at `now`, the longest due first."""
        return [key_store_of(row) for row in self._rows(_DUE, {"now": now})]

    def next_due(self) -> float | None:
        """Return when, of all that is to happen to stores and keys of any scope, the first is due."""
        first = [self._connection.execute(statement).scalar_one() for statement in _NEXT_DUE]
        return min((moment for moment in first if moment is not None), default=None)

    def latest_change(self) -> float | None:
        """Return when a store last changed its state, of any scope."""
        latest: float | None = self._connection.execute(_LATEST_CHANGE).scalar_one()
        return latest

    def connected_key_stores(self) -> list[KeyStore]:
        """Return every CONNECTED store, of any scope."""
        return [key_store_of(row) for row in self._rows(_CONNECTED, {})]

    def stranded_key_stores(self) -> list[KeyStore]:
        """Return every store whose cluster is gone, of any scope."""
        return [key_store_of(row) for row in self._rows(_STRANDED, {})]

    def add_key_store(self, store: KeyStore) -> None:
        """Insert a row.

        Raises:
            Conflict: its id, its name in its scope, or its cluster is there already.

        """
        self._connection.execute(insert(key_stores), key_store_row(store))
        self._note(Topic.KEY_STORE, store.id)

    def replace_key_store(self, before: KeyStore, after: KeyStore) -> KeyStore:
        """Write `after` over `before` and return it with its new version.

        Raises:
            Conflict: state or version are no longer `before`'s, or the new name or cluster is taken.

        """
        renewed = replace(after, version=before.version + 1)
        self._change(_REPLACE_STORE, {**key_store_row(renewed), **_expected_store(before)})
        self._note(Topic.KEY_STORE, before.id)
        return renewed

    def remove_key_store(self, store: KeyStore) -> None:
        """Delete the row.

        Raises:
            Conflict: state or version are no longer the store's.

        """
        self._change(_REMOVE_STORE, _expected_store(store))
        self._note(Topic.KEY_STORE, store.id)

    # Clusters.

    def cluster(self, cluster_id: str) -> Cluster | None:
        """Return the cluster, whatever its scope."""
        row = self._connection.execute(_CLUSTER, {"id": cluster_id}).first()
        if row is None:
            return None
        return cluster_of(row, *(self._rows(parts, {"id": cluster_id}) for parts in (_HSMS, _SUBNETS)))

    def clusters(self, scope: Scope | None = None) -> list[Cluster]:
        """Return clusters in order of (created_at, id)."""
        statement, parameters = (_ALL_CLUSTERS, {}) if scope is None else (_SCOPED_CLUSTERS, scope._asdict())
        found = self._rows(statement, parameters)
        its_hsms, its_subnets = (self._by_cluster(parts) for parts in (_ALL_HSMS, _ALL_SUBNETS))
        return [cluster_of(row, its_hsms.get(row.id, ()), its_subnets.get(row.id, ())) for row in found]

    def add_cluster(self, cluster: Cluster) -> None:
        """Insert a row.

        Raises:
            Conflict: its id, or an HSM's, is there already.

        """
        self._connection.execute(insert(clusters), cluster_row(cluster))
        self._add_parts(cluster)
        self._note(Topic.CLUSTER, cluster.id)

    def replace_cluster(self, before: Cluster, after: Cluster) -> Cluster:
        """Write `after` over `before` and return it with its new version.

        Raises:
            Conflict: the version is no longer `before`'s.

        """
        renewed = replace(after, version=before.version + 1)
        self._change(_REPLACE_CLUSTER, {**cluster_row(renewed), **_expected_cluster(before)})
        if (after.hsms, after.subnets) != (before.hsms, before.subnets):
            self._connection.execute(_REMOVE_HSMS, {"id": before.id})
            self._connection.execute(_REMOVE_SUBNETS, {"id": before.id})
            self._add_parts(renewed)
        self._note(Topic.CLUSTER, before.id)
        return renewed

    def remove_cluster(self, cluster: Cluster) -> None:
        """Delete the row and its HSMs'.

        Raises:
            Conflict: the version is no longer the cluster's.

        """
        self._change(_REMOVE_CLUSTER, _expected_cluster(cluster))
        self._note(Topic.CLUSTER, cluster.id)

    def backups(self) -> list[Backup]:
        """Return backups in order of (created_at, id)."""
        return [_backup_of(row) for row in self._rows(_BACKUPS, {})]

    def backup(self, backup_id: str) -> Backup | None:
        """Return the backup of this id."""
        row = self._connection.execute(_BACKUP, {"id": backup_id}).first()
        return None if row is None else _backup_of(row)

    def add_backup(self, backup: Backup) -> None:
        """Insert a row.

        Raises:
            Conflict: its id is there already.

        """
        row = {"id": backup.id, "created_at": backup.created_at, "cluster": json.encode(backup.cluster)}
        self._connection.execute(insert(backups), row)

    def remove_backup(self, backup_id: str) -> None:
        """Delete the row.

        Raises:
            Conflict: there is no such row any more.

        """
        self._change(_REMOVE_BACKUP, {"id": backup_id})

    # What is to fail, and what time it is.

    def faults(self) -> list[Fault]:
        """Return the fault plan, in order."""
        return [json.decode(row.fault, type=Fault) for row in self._rows(_FAULTS, {})]

    def replace_faults(self, plan: Sequence[Fault]) -> None:
        """Write the whole plan anew."""
        self._note(Topic.FAULTS)
        self._connection.execute(delete(faults))
        if plan:
            rows = [{"id": each.id, "number": n, "fault": json.encode(each)} for n, each in enumerate(plan)]
            self._connection.execute(insert(faults), rows)

    def clock(self) -> ClockSetting | None:
        """Return how the clock was last set; None where it never was."""
        row = self._connection.execute(_CLOCK).first()
        return None if row is None else ClockSetting(row.real, row.shown, row.rate)

    def set_clock(self, setting: ClockSetting) -> None:
        """Write how the clock is set."""
        self._note(Topic.CLOCK)
        self._connection.execute(delete(clock))
        self._connection.execute(insert(clock), {"id": 1, **asdict(setting)})

    def _note(self, topic: Topic, identity: str = "") -> None:
        self.notices.append(Notice(topic, identity))

    def _key_store(self, statement: Executable, parameters: Mapping[str, object]) -> KeyStore | None:
        row = self._connection.execute(statement, parameters).first()
        return None if row is None else key_store_of(row)

    def _add_parts(self, cluster: Cluster) -> None:
        if cluster.hsms:
            self._connection.execute(insert(hsms), hsm_rows(cluster))
        if cluster.subnets:
            self._connection.execute(insert(subnets), subnet_rows(cluster))

    def _by_cluster(self, parts: Executable) -> dict[str, list[Row[Any]]]:
        grouped = groupby(self._rows(parts, {}), key=lambda part: part.cluster_id)
        return {cluster_id: list(rows) for cluster_id, rows in grouped}


def _backup_of(row: Row[Any]) -> Backup:
    return Backup(id=row.id, created_at=row.created_at, cluster=json.decode(row.cluster, type=Cluster))


def _expected_store(store: KeyStore) -> dict[str, object]:
    return {"old_id": store.id, "old_state": store.state.value, "old_version": store.version}


def _expected_cluster(cluster: Cluster) -> dict[str, object]:
    return {"old_id": cluster.id, "old_version": cluster.version}
