"""What the services may rely on of the Registry: rows come back whole, in order, and never half."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.domain.cluster import Cluster, ClusterState, HsmState
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import Conflict
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import ConnectionErrorCode, KeyStore
from hsmstore.domain.ports import Registry, Unit
from hsmstore.storage.migrations import upgrade
from hsmstore.storage.registry import SqlRegistry
from tests.registries import REGISTRIES
from tests.storage import entities
from tests.storage.entities import ELSEWHERE, SCOPE, Undone, cluster, store


def add_key_stores(registry: Registry, *stores: KeyStore) -> None:
    """Commit the stores."""
    with registry.writing() as unit:
        for each in stores:
            unit.add_key_store(each)


def add_clusters(registry: Registry, *clusters: Cluster) -> None:
    """Commit the clusters."""
    with registry.writing() as unit:
        for each in clusters:
            unit.add_cluster(each)


# Round trips.


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlRegistry]:
    """Return one registry for all examples of a property, each of which rolls back what it writes."""
    url = REGISTRIES.url(tmp_path_factory.mktemp("shared"))
    upgrade(url)
    registry = SqlRegistry(url)
    yield registry
    registry.close()


@given(wanted=entities.key_stores())
def test_every_form_of_store_comes_back(shared: SqlRegistry, wanted: KeyStore) -> None:
    """Whatever the backing and the state, what is read equals what was written."""
    with suppress(Undone), shared.writing() as unit:
        unit.add_key_store(wanted)
        assert unit.key_store(wanted.scope, wanted.id) == wanted
        assert unit.key_store_named(wanted.scope, wanted.name) == wanted
        raise Undone


@given(before=entities.key_stores(), after=entities.key_stores())
def test_every_form_of_store_replaces_every_other(
    shared: SqlRegistry, before: KeyStore, after: KeyStore
) -> None:
    """No value of the old row stays behind in the new one."""
    after = replace(after, id=before.id)
    with suppress(Undone), shared.writing() as unit:
        unit.add_key_store(before)
        renewed = unit.replace_key_store(before, after)
        assert renewed == replace(after, version=before.version + 1)
        assert unit.key_store(after.scope, after.id) == renewed
        raise Undone


@given(wanted=entities.clusters())
def test_every_form_of_cluster_comes_back(shared: SqlRegistry, wanted: Cluster) -> None:
    """Token or none, HSMs in their order or none: what is read equals what was written."""
    with suppress(Undone), shared.writing() as unit:
        unit.add_cluster(wanted)
        assert unit.cluster(wanted.id) == wanted
        assert unit.clusters() == [wanted]
        raise Undone


@given(before=entities.clusters(), after=entities.clusters())
def test_every_form_of_cluster_replaces_every_other(
    shared: SqlRegistry, before: Cluster, after: Cluster
) -> None:
    """The new row has the new HSMs, and none of the old."""
    after = replace(after, id=before.id)
    with suppress(Undone), shared.writing() as unit:
        unit.add_cluster(before)
        renewed = unit.replace_cluster(before, after)
        assert renewed == replace(after, version=before.version + 1)
        assert unit.cluster(after.id) == renewed
        raise Undone


# Units.


def test_what_is_committed_stays(registry: SqlRegistry, url: str) -> None:
    """A registry opened later on the same database finds what an earlier one wrote."""
    add_key_stores(registry, store())
    registry.close()
    later = SqlRegistry(url)
    with later.reading() as unit:
        assert unit.key_store(SCOPE, store().id) == store()
    later.close()


def test_what_is_committed_survives_a_kill(url: str) -> None:
    """A process that is killed in the middle of a unit loses that unit and none before it."""
    upgrade(url)
    program = (
        "import os, signal, sys; from hsmstore.storage.registry import SqlRegistry;"
        " from tests.storage.entities import store;"
        " registry = SqlRegistry(sys.argv[1])\n"
        "with registry.writing() as unit: unit.add_key_store(store(1))\n"
        "with registry.writing() as unit: unit.add_key_store(store(2)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", program, url], check=False)
    assert killed.returncode == -signal.SIGKILL
    with closing(SqlRegistry(url)) as registry, registry.reading() as unit:
        assert unit.key_stores(SCOPE) == [store(1)]


@pytest.mark.sqlite
def test_readers_need_not_wait(registry: SqlRegistry, tmp_path: Path) -> None:
    """The file keeps a write-ahead log, which whoever opens it next goes on with."""
    add_key_stores(registry, store())
    with closing(sqlite3.connect(tmp_path / "registry.sqlite3")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_exception_rolls_the_unit_back(registry: SqlRegistry) -> None:
    """Of a unit that ends in an exception nothing stays, its first rows included."""
    with suppress(Undone), registry.writing() as unit:
        unit.add_cluster(cluster())
        unit.add_key_store(store())
        raise Undone
    with registry.reading() as unit:
        assert unit.clusters() == []
        assert unit.key_stores(SCOPE) == []


def test_a_reading_unit_is_one_view(registry: SqlRegistry) -> None:
    """What others commit meanwhile is not seen before the next unit."""
    with registry.reading() as early:
        assert early.count_key_stores(SCOPE) == 0
        add_key_stores(registry, store())
        assert early.count_key_stores(SCOPE) == 0
        assert early.key_store(SCOPE, store().id) is None
    with registry.reading() as late:
        assert late.count_key_stores(SCOPE) == 1


def test_a_writing_unit_hides_its_writes_until_its_end(registry: SqlRegistry) -> None:
    """Readers don't wait for a writer, and don't see what it has not committed."""
    with registry.writing() as writer:
        writer.add_key_store(store())
        with registry.reading() as reader:
            assert reader.key_stores(SCOPE) == []


def test_a_reading_unit_cannot_write(registry: SqlRegistry) -> None:
    """A write through a reading unit fails at once, instead of being lost at its end."""
    with pytest.raises(Exception, match=r"read-?only"), registry.reading() as unit:
        unit.add_key_store(store())


# Key stores.


def test_nothing_is_found_where_nothing_is(registry: SqlRegistry) -> None:
    """Every question to an empty registry has an empty answer."""
    with registry.reading() as unit:
        assert unit.key_store(SCOPE, "cks-unknown") is None
        assert unit.key_store_named(SCOPE, "unknown") is None
        assert unit.key_store_of_cluster("cluster-unknown") is None
        assert unit.key_stores(SCOPE) == []
        assert unit.due_key_stores(1e12) == []
        assert unit.connected_key_stores() == []
        assert unit.count_key_stores(SCOPE) == 0
        assert unit.cluster("cluster-unknown") is None
        assert unit.clusters() == []


@pytest.mark.parametrize("elsewhere", ELSEWHERE, ids=["another Region", "another account"])
def test_a_store_is_found_in_its_scope_only(registry: SqlRegistry, elsewhere: Scope) -> None:
    """Another account or Region sees neither the store nor its name, and may use the name itself."""
    add_key_stores(registry, store(1), replace(store(2, scope=elsewhere), name=store(1).name))
    with registry.reading() as unit:
        assert unit.key_store(elsewhere, store(1).id) is None
        assert unit.key_store_named(SCOPE, store(1).name) == store(1)
        assert [found.id for found in unit.key_stores(elsewhere)] == [store(2).id]
        assert unit.count_key_stores(SCOPE) == unit.count_key_stores(elsewhere) == 1


@given(st.lists(st.sampled_from([1.0, 2.0, 2.5]), max_size=12), st.integers(1, 13))
def test_pages_are_the_whole_in_order(shared: SqlRegistry, times: list[float], limit: int) -> None:
    """Pages of any size, put together, are all stores once, by time and then by id."""
    stores = [store(len(times) - number, created_at=time) for number, time in enumerate(times)]
    with suppress(Undone), shared.writing() as unit:
        for each in stores:
            unit.add_key_store(each)
        wanted = sorted(stores, key=lambda found: (found.created_at, found.id))
        assert unit.key_stores(SCOPE) == wanted
        assert _pages(unit, limit) == wanted
        raise Undone


def _pages(unit: Unit, limit: int) -> list[KeyStore]:
    found: list[KeyStore] = []
    after = None
    while page := unit.key_stores(SCOPE, after=after, limit=limit):
        assert len(page) <= limit
        found += page
        after = (page[-1].created_at, page[-1].id)
    return found


def test_the_store_of_a_cluster_is_found(registry: SqlRegistry) -> None:
    """A cluster leads to the one store that it backs, whatever its scope."""
    add_key_stores(registry, store(1), store(2, scope=ELSEWHERE[0]))
    with registry.reading() as unit:
        assert unit.key_store_of_cluster("cluster-2") == store(2, scope=ELSEWHERE[0])


def test_connected_stores_of_every_scope_are_found(registry: SqlRegistry) -> None:
    """What must be logged in again at a start is CONNECTED, in whatever scope."""
    connected = replace(store(2, scope=ELSEWHERE[0]), state=ConnectionState.CONNECTED)
    add_key_stores(registry, store(1), connected)
    with registry.reading() as unit:
        assert unit.connected_key_stores() == [connected]


def test_due_stores_come_in_the_order_they_are_due(registry: SqlRegistry) -> None:
    """A phase is due at its time and not before."""
    connecting = [
        replace(store(number, scope=scope), state=ConnectionState.CONNECTING, due_at=due_at)
        for number, scope, due_at in [(1, SCOPE, 30.0), (2, ELSEWHERE[0], 10.0), (3, SCOPE, 20.0)]
    ]
    add_key_stores(registry, store(4), *connecting)
    with registry.reading() as unit:
        assert unit.due_key_stores(9.999) == []
        assert [due.due_at for due in unit.due_key_stores(20.0)] == [10.0, 20.0]


@pytest.mark.parametrize(
    "taken",
    [
        replace(store(2), id=store(1).id),
        replace(store(2), name=store(1).name),
        replace(store(2), backing=store(1).backing),
    ],
    ids=["id", "name", "cluster"],
)
def test_what_is_taken_is_a_conflict(registry: SqlRegistry, taken: KeyStore) -> None:
    """A second row of one id, name or cluster raises Conflict where it is added, and changes nothing."""
    add_key_stores(registry, store(1))
    with pytest.raises(Conflict), registry.writing() as unit:
        unit.add_key_store(taken)
    with registry.reading() as unit:
        assert unit.key_stores(SCOPE) == [store(1)]


def test_names_differ_by_case(registry: SqlRegistry) -> None:
    """Names are compared as they are written."""
    add_key_stores(registry, replace(store(1), name="Name"), replace(store(2), name="name"))
    with registry.reading() as unit:
        found = unit.key_store_named(SCOPE, "name")
    assert found is not None
    assert found.id == store(2).id


def test_a_replaced_row_has_a_new_version(registry: SqlRegistry) -> None:
    """Each replacement counts one up, whatever version the new value says."""
    add_key_stores(registry, store())
    with registry.writing() as unit:
        once = unit.replace_key_store(store(), replace(store(), name="once", version=77))
        twice = unit.replace_key_store(once, replace(once, name="twice"))
    assert (once.version, twice.version) == (2, 3)
    with registry.reading() as unit:
        assert unit.key_store(SCOPE, store().id) == twice


@pytest.mark.parametrize(
    "stale",
    [
        replace(store(), version=2),
        replace(store(), state=ConnectionState.CONNECTED),
        store(2),
    ],
    ids=["version", "state", "gone"],
)
def test_a_stale_store_changes_nothing(registry: SqlRegistry, stale: KeyStore) -> None:
    """Neither replacement nor removal finds a row that is not as its caller read it."""
    add_key_stores(registry, store())
    with pytest.raises(Conflict), registry.writing() as unit:
        unit.replace_key_store(stale, replace(stale, name="lost"))
    with pytest.raises(Conflict), registry.writing() as unit:
        unit.remove_key_store(stale)
    with registry.reading() as unit:
        assert unit.key_stores(SCOPE) == [store()]


def test_a_removed_store_is_gone(registry: SqlRegistry) -> None:
    """After removal its id, name and cluster are free again."""
    add_key_stores(registry, store())
    with registry.writing() as unit:
        unit.remove_key_store(store())
    add_key_stores(registry, store())


@pytest.mark.parametrize(
    "broken",
    [
        replace(store(), due_at=5.0),
        replace(store(), state=ConnectionState.CONNECTING),
        replace(store(), state=ConnectionState.FAILED),
        replace(store(), error_code=ConnectionErrorCode.INTERNAL_ERROR),
    ],
    ids=["due while disconnected", "connecting for ever", "failed without reason", "reason without failure"],
)
def test_the_database_holds_the_invariants(registry: SqlRegistry, broken: KeyStore) -> None:
    """A store that contradicts itself is a bug of ours and no Conflict; the database refuses it."""
    with pytest.raises(Exception, match="ck_key_stores_"), registry.writing() as unit:
        unit.add_key_store(broken)


# Clusters.


def test_clusters_come_in_order_of_creation(registry: SqlRegistry) -> None:
    """All of them, or a scope's, each with its own HSMs, by time and then by id."""
    late, early, foreign = cluster(1, created_at=2.0), cluster(3), cluster(2, scope=ELSEWHERE[0])
    add_clusters(registry, late, early, foreign)
    with registry.reading() as unit:
        assert unit.clusters() == [foreign, early, late]
        assert unit.clusters(SCOPE) == [early, late]


def test_an_hsm_changes_with_its_cluster(registry: SqlRegistry) -> None:
    """HSMs keep their order when one fails, one goes and one comes."""
    add_clusters(registry, cluster())
    first, second = cluster().hsms
    hsms = (replace(second, state=HsmState.DEGRADED), replace(first, id="hsm-new"))
    with registry.writing() as unit:
        renewed = unit.replace_cluster(cluster(), replace(cluster(), hsms=hsms))
    with registry.reading() as unit:
        assert unit.cluster(cluster().id) == renewed == replace(cluster(), hsms=hsms, version=2)


def test_a_removed_cluster_takes_its_hsms_along(registry: SqlRegistry) -> None:
    """After removal the ids of its HSMs are free again."""
    add_clusters(registry, cluster())
    with registry.writing() as unit:
        unit.remove_cluster(cluster())
    add_clusters(registry, replace(cluster(2), hsms=cluster().hsms))


def test_a_stale_cluster_changes_nothing(registry: SqlRegistry) -> None:
    """Neither replacement nor removal finds a row of another version."""
    add_clusters(registry, cluster())
    stale = replace(cluster(), version=9)
    with pytest.raises(Conflict), registry.writing() as unit:
        unit.replace_cluster(stale, replace(stale, state=ClusterState.DELETED, hsms=()))
    with pytest.raises(Conflict), registry.writing() as unit:
        unit.remove_cluster(stale)
    with registry.reading() as unit:
        assert unit.clusters() == [cluster()]


def test_a_cluster_of_the_same_id_is_a_conflict(registry: SqlRegistry) -> None:
    """Ids are unique over all scopes."""
    add_clusters(registry, cluster())
    with pytest.raises(Conflict), registry.writing() as unit:
        unit.add_cluster(cluster(scope=ELSEWHERE[0]))


def test_a_store_outlives_its_cluster(registry: SqlRegistry) -> None:
    """A cluster can be removed behind a store, which then finds it missing when it connects."""
    add_clusters(registry, cluster())
    add_key_stores(registry, store())
    with registry.writing() as unit:
        unit.remove_cluster(cluster())
    with registry.reading() as unit:
        assert unit.key_store_of_cluster(cluster().id) == store()
