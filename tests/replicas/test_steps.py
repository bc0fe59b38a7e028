"""The steps of the replicas' gate, one by one and in the orders that a race would give them."""

import pytest

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import Conflict, CustomKeyStoreInvalidStateException, EnvironmentUnfit
from hsmstore.domain.notices import Notice, Topic
from hsmstore.domain.ports import ConnectionClosed
from hsmstore.service import replica as steps
from tests.replicas.worlds import LEASE, Estate

pytestmark = pytest.mark.postgresql


def test_every_replica_draws(estate: Estate) -> None:
    """A store that one replica has connected gives bytes through all; each holds it in the registry."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    assert one.draw(store) != other.draw(store)
    assert estate.holders() == {one.world.replica.lease.id, other.world.replica.lease.id}


def test_disconnecting_lasts_until_all_have_let_go(estate: Estate) -> None:
    """DISCONNECTING is the drain: who has not heard of it still gives bytes, and nobody sees DISCONNECTED."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.draw(store)
    one.disconnect(store)
    with pytest.raises(CustomKeyStoreInvalidStateException):
        one.draw(store)
    assert other.draw(store)
    assert one.look_at(store) is other.look_at(store) is ConnectionState.DISCONNECTING
    steps.heed(other.world, Notice(Topic.KEY_STORE, store))
    assert other.connection(store) is None
    assert one.look_at(store) is ConnectionState.DISCONNECTED
    with pytest.raises(CustomKeyStoreInvalidStateException):
        other.draw(store)


@pytest.mark.parametrize("heard", [Notice(Topic.KEY_STORE, "cks-other"), Notice(Topic.CLUSTER, "cluster-x")])
def test_a_lost_notice_costs_no_more_than_a_renewal(estate: Estate, heard: Notice) -> None:
    """Who has heard of something else only learns of the disconnect when it renews its lease."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.draw(store)
    one.disconnect(store)
    steps.heed(other.world, heard)
    assert other.connection(store) is not None
    steps.renew(other.world)
    steps.look(other.world)
    assert other.connection(store) is None
    assert one.look_at(store) is ConnectionState.DISCONNECTED


def test_what_is_open_and_not_held(estate: Estate) -> None:
    """Who finds its hold gone, as a fail-over without the last commits leaves it, shuts its gate at once."""
    one = estate.replica()
    store = estate.connected_store(one)
    estate.lose_holds()
    steps.look(one.world)
    assert one.connection(store) is None
    assert one.draw(store)
    assert estate.holders() == {one.world.replica.lease.id}
    steps.look(one.world)
    assert one.connection(store) is not None


def test_a_hold_that_comes_too_late(estate: Estate) -> None:
    """Who read CONNECTED before a disconnect and holds after it is sent back: the row has changed."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    read = other.store(store)
    one.disconnect(store)
    assert one.look_at(store) is ConnectionState.DISCONNECTED
    with pytest.raises(Conflict):
        steps.hold(other.world, read, steps.current_lease(other.world))
    assert estate.holders() == set()


def test_hold_against_a_whole_disconnect(estate: Estate) -> None:
    """A hold that began before a disconnect, and commits after its end, is not granted."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    lease = steps.current_lease(other.world)

    def hold() -> None:
        with other.world.registry.writing() as unit:
            current = unit.key_store(other.world.home, store)
            assert current is not None
            assert current.state is ConnectionState.CONNECTED
            one.disconnect(store)
            assert one.look_at(store) is ConnectionState.DISCONNECTED
            unit.leases.hold(lease.id, store)

    with pytest.raises(Conflict):
        hold()
    assert estate.holders() == set()


def test_a_paused_replica_draws_nothing(estate: Estate) -> None:
    """Once its lease is over by its own clock, a replica draws nothing from what it has open."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.draw(store)
    estate.outdate(other.world.replica.lease.id)
    other.clock.ahead += LEASE + 1
    one.disconnect(store)
    assert one.look_at(store) is ConnectionState.DISCONNECTED
    assert other.connection(store) is not None
    with pytest.raises(CustomKeyStoreInvalidStateException):
        other.draw(store)
    assert other.connection(store) is None


def test_a_late_renewal_keeps_what_nobody_has_judged(estate: Estate) -> None:
    """A lease that is over by every clock may still be renewed, with what is open, while its row is there."""
    one = estate.replica()
    store = estate.connected_store(one)
    lease = one.world.replica.lease
    connection = one.connection(store)
    estate.outdate(lease.id)
    one.clock.ahead += LEASE + 1
    assert one.world.replica.is_lapsed
    steps.renew(one.world)
    assert one.draw(store)
    assert one.world.replica.lease is lease
    assert one.connection(store) is connection


def test_a_judged_lease_is_never_renewed(estate: Estate) -> None:
    """Who finds its lease judged lapsed shuts the whole gate and takes another; then it may draw again."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.draw(store)
    old = other.world.replica.lease
    estate.outdate(old.id)
    one.disconnect(store)
    assert one.look_at(store) is ConnectionState.DISCONNECTED
    assert old.id not in estate.leases()
    steps.renew(other.world)
    assert other.connection(store) is None
    fresh = other.world.replica.lease
    assert fresh.id != old.id
    assert fresh.id in estate.leases()
    one.connect(store)
    assert other.draw(store)
    assert fresh.id in estate.holders()


def test_a_connection_belongs_to_its_lease(estate: Estate) -> None:
    """What was opened under a lapsed lease gives nothing, though its replica has a new one."""
    one = estate.replica()
    store = estate.connected_store(one)
    connection = one.connection(store)
    assert connection is not None
    with one.world.registry.renewing() as leases:
        leases.end(one.world.replica.lease.id)
    one.clock.ahead += LEASE
    assert one.draw(store)
    assert one.connection(store) is not connection
    with pytest.raises(ConnectionClosed):
        connection.draw(8)


def test_a_renewal_under_way_is_not_judged(estate: Estate) -> None:
    """Who judges a lease that is being renewed waits for the renewal and is sent back."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    lease = one.world.replica.lease
    estate.outdate(lease.id)

    def judge() -> None:
        with other.world.registry.writing() as unit:
            assert unit.leases.is_held(store)
            steps.renew(one.world)
            unit.leases.lapse(store)

    with pytest.raises(Conflict):
        judge()
    assert lease.id in estate.leases()


def test_a_crash_holds_up_a_disconnect_for_a_lease(estate: Estate) -> None:
    """The hold of a replica that has gone without a word stays until its lease is over, and no longer."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.draw(store)
    one.disconnect(store)
    assert one.look_at(store) is ConnectionState.DISCONNECTING
    estate.outdate(other.world.replica.lease.id)
    assert one.look_at(store) is ConnectionState.DISCONNECTED


def test_a_stop_holds_up_nothing(estate: Estate) -> None:
    """A replica that ends gives back its lease and its holds; a thread of it that is late opens nothing."""
    one, other = estate.replica(), estate.replica()
    store = estate.connected_store(one)
    other.draw(store)
    lease, connection = other.world.replica.lease, other.connection(store)
    assert connection is not None
    steps.give_back(other.world)
    with pytest.raises(Conflict):
        steps.open_gate(other.world, other.store(store), connection, lease)
    with pytest.raises(EnvironmentUnfit, match="has ended"):
        other.draw(store)
    assert other.connection(store) is None
    one.disconnect(store)
    assert one.look_at(store) is ConnectionState.DISCONNECTED
