"""What replicas share besides the gate: faults, the clock, clusters, connects, the master key."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hsmstore.domain.connection import ConnectionState, Event
from hsmstore.domain.errors import (
    CustomKeyStoreInvalidStateException,
    EnvironmentUnfit,
    KMSInternalException,
    ThrottlingException,
)
from hsmstore.domain.faults import Effect, Phase
from hsmstore.domain.notices import ANYTHING, Notice, Topic
from hsmstore.service import clock, faults, hsms, lifecycle
from hsmstore.service import replica as steps
from hsmstore.service.advance import advance
from hsmstore.system.sealing import MASTER_KEY_SIZE
from tests.replicas.worlds import Estate, Replica

pytestmark = pytest.mark.postgresql

TIMES = 10


def refused(replica: Replica, key_store_id: str) -> bool:
    """Draw, and tell whether a fault struck."""
    try:
        replica.draw(key_store_id)
    except ThrottlingException:
        return True
    return False


def test_a_fault_is_counted_for_all(estate: Estate) -> None:
    """A fault for the next ten draws strikes ten, though three replicas count them at once."""
    replicas = [estate.replica() for _ in range(3)]
    one = replicas[0]
    store = estate.connected_store(one)
    fault = faults.AddFaultRequest(
        point=Phase.DRAW, effect=Effect.EXCEPTION, error="ThrottlingException", times=TIMES
    )
    faults.add_fault(fault, one.call, one.world)
    for other in replicas[1:]:
        assert not refused(other, store)
        steps.heed(other.world, Notice(Topic.FAULTS))
    ready = threading.Barrier(3)

    def count(replica: Replica) -> int:
        ready.wait()
        return sum(refused(replica, store) for _ in range(TIMES))

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(count, replicas)) == TIMES
    (left,) = faults.list_faults(faults.ListFaultsRequest(), one.call, one.world).faults
    assert left.struck <= TIMES
    steps.look(one.world)
    (left,) = faults.list_faults(faults.ListFaultsRequest(), one.call, one.world).faults
    assert left.struck == TIMES


def test_the_clock_is_set_for_all(estate: Estate) -> None:
    """Two replicas that set the clock forward add up; a third goes along, and none goes back."""
    one, other, third = (estate.replica() for _ in range(3))
    before = third.world.clock.now()
    clock.advance_clock(clock.AdvanceClockRequest(seconds=1000), one.call, one.world)
    clock.advance_clock(clock.AdvanceClockRequest(seconds=2000), other.call, other.world)
    steps.heed(third.world, Notice(Topic.CLOCK))
    assert third.world.clock.now() >= before + 3000
    shown = one.world.clock.now()
    assert shown < before + 3000
    steps.look(one.world)
    assert one.world.clock.now() >= shown + 2000


def test_a_clock_ahead_does_not_go_back(estate: Estate) -> None:
    """A replica whose machine is ahead of the one that set the clock waits for nothing and goes on."""
    one, other = estate.replica(), estate.replica()
    setting = other.world.clock.setting
    other.world.clock.set(setting.advanced(other.world.clock.real(), 500))
    clock.advance_clock(clock.AdvanceClockRequest(seconds=100), one.call, one.world)
    before = other.world.clock.now()
    steps.look(other.world)
    assert other.world.clock.now() >= before


def test_a_cut_network_reaches_every_replica(estate: Estate) -> None:
    """What one replica is told of a cluster, another acts on; put right, it draws again by itself."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.draw(store)
    cluster_id = estate.cluster_id
    for reachable in (False, True):
        request = hsms.NetworkRequest(cluster_id=cluster_id, reachable=reachable)
        hsms.set_network(request, one.call, one.world)
        steps.heed(other.world, Notice(Topic.CLUSTER, cluster_id))
        assert other.connection(store) is None
        if reachable:
            assert other.draw(store)
        else:
            with pytest.raises(KMSInternalException):
                other.draw(store)


def test_one_replica_completes_a_connect(estate: Estate) -> None:
    """A connect that is claimed is left to who has claimed it, and taken over when its lease has lapsed."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    one.disconnect(store)
    due = advance(one.world, one.store(store), Event.CONNECT, due_at=0.0)
    lease = steps.current_lease(one.world)
    assert steps.claim(one.world, due, lease)
    assert steps.claim(one.world, due, lease)
    assert other.look_at(store) is ConnectionState.CONNECTING
    estate.outdate(lease.id)
    assert other.look_at(store) is ConnectionState.CONNECTED
    assert other.draw(store)


def test_a_disconnect_while_another_completes_the_connect(estate: Estate) -> None:
    """Whoever completes a connect holds the store; a disconnect elsewhere waits for that, too."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.disconnect(store)
    assert one.look_at(store) is ConnectionState.DISCONNECTING
    steps.heed(one.world, ANYTHING)
    assert other.look_at(store) is ConnectionState.DISCONNECTED
    with pytest.raises(CustomKeyStoreInvalidStateException):
        one.draw(store)


def test_a_password_that_two_change(estate: Estate) -> None:
    """Who takes over a rotation that stands still sets the password that was written ahead."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    one.disconnect(store)
    advance(one.world, one.store(store), Event.CONNECT, due_at=0.0)
    ahead = estate.write_ahead(one, store, "written-ahead-0")
    assert other.look_at(store) is ConnectionState.CONNECTED
    assert estate.password(other, store) == "written-ahead-0"
    assert ahead != other.store(store)
    assert one.draw(store)


def test_another_master_key_is_refused(estate: Estate, tmp_path: Path) -> None:
    """A replica that could not read what the others have sealed does not start, and is told what to do."""
    estate.replica()
    with pytest.raises(EnvironmentUnfit, match="copy another replica"):
        estate.replica(master_key="other.key")
    other = tmp_path / "other.key"
    other.touch(mode=0o600)
    other.write_bytes(bytes(MASTER_KEY_SIZE))
    with pytest.raises(EnvironmentUnfit, match=r"another key than .*other\.key .*--master-key"):
        estate.replica(master_key="other.key")


def test_without_the_database(estate: Estate) -> None:
    """Without the registry draws go on until the lease ends, then are refused; with it they go on again."""
    one = estate.replica()
    store = estate.connected_store(one)
    with estate.unreachable():
        assert one.draw(store)
        one.clock.ahead += one.world.replica.seconds
        for _ in range(2):
            with pytest.raises(EnvironmentUnfit):
                one.draw(store)
        with pytest.raises(EnvironmentUnfit):
            lifecycle.find(one.world, one.world.home, store)
    one.clock.ahead += steps.RETRY
    assert one.draw(store)


def test_a_clock_that_was_set_back_or_forward(estate: Estate) -> None:
    """Within MARGIN a step of the database's clock judges nobody; beyond it a lease is lost, and said so."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.draw(store)
    with estate.database_clock(ahead=other.world.replica.seconds):
        one.disconnect(store)
        assert one.look_at(store) is ConnectionState.DISCONNECTING
    with estate.database_clock(ahead=other.world.replica.seconds + 3):
        assert one.look_at(store) is ConnectionState.DISCONNECTED
    old = other.world.replica.lease.id
    steps.renew(other.world)
    assert other.world.replica.lease.id != old
    assert other.connection(store) is None
