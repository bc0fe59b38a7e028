"""The replicas' gate, step by step, under the names of its model (docs/replicas.md, "The gate").

Several processes share a registry, and each keeps live connections of its own. What must hold between them
is that nobody gives a byte of a store that has been seen DISCONNECTED. So a replica draws only under a lease
that it renews in the registry, and only from stores that it holds there; DISCONNECTING becomes DISCONNECTED
when nobody holds the store. A lease is over for the others when its row is deleted, and in no other way:
judged lapsed (`lapse`, `sweep`), given back by its holder, or taken over in the place of a dead one.

A process that shares its registry with nobody has a lease without end; to it every step here is nothing.
"""

import logging
from typing import Final

from hsmstore.domain.connection import ConnectionState, Event
from hsmstore.domain.errors import Conflict, EnvironmentUnfit
from hsmstore.domain.identifiers import Scope, new_lease_id
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore
from hsmstore.domain.lease import GIVEN_BACK, Lease
from hsmstore.domain.notices import Notice, Topic
from hsmstore.domain.ports import HsmConnection, Unit
from hsmstore.service.advance import advance_in
from hsmstore.service.world import Watch, World, starting_again

log = logging.getLogger(__name__)

RETRY: Final = 1.0  # seconds from a lease that the registry did not give to the next attempt of a draw

_TURN: Final = "lease"  # no key store's id


def current_lease(world: World) -> Lease:
    """Return the lease, or take a new one where it has lapsed.

    Raises:
        EnvironmentUnfit: the registry does not give one now, or did not a moment ago.

    """
    replica = world.replica
    if not replica.is_lapsed:
        return replica.lease
    if replica.monotonic() < replica.refused_at + RETRY:
        raise EnvironmentUnfit(
            "this replica's lease has lapsed and its registry cannot be reached",
            "see that the database runs; replicas recover by themselves",
        )
    return renew(world)


def renew(world: World) -> Lease:
    """Renew the lease; where it has been judged lapsed shut the whole gate and take another.

    What was opened under the old lease is shut already, in effect: its end is never put off again.

    Raises:
        EnvironmentUnfit: the registry cannot be used, or this replica has given its lease back.

    """
    replica = world.replica
    with world.turns.of(_TURN):
        lease, asked_at = replica.lease, replica.monotonic()  # before the registry counts from its own now
        if lease is GIVEN_BACK:
            raise EnvironmentUnfit("this replica has ended", "make every call before its end")
        fresh = Lease(new_lease_id(world.entropy.random_bytes, replica.place), asked_at + replica.seconds)
        try:
            with world.registry.renewing() as leases:
                is_renewed = leases.renew(lease.id, replica.seconds)
                if not is_renewed:
                    leases.begin(fresh.id, replica.seconds)
        except EnvironmentUnfit:
            replica.refused_at = replica.monotonic()
            raise
        if is_renewed:
            lease.renewed(asked_at, replica.seconds)
            return lease
        if lease.id:
            log.warning("the lease %s was judged lapsed; %s takes its place", lease.id, fresh.id)
        replica.watched.clear()
        replica.lease = fresh
    world.gate.shut_all()
    return fresh


def take_over(world: World) -> None:
    """End the lease that a process before this one left when it was killed: nobody has to wait for it.

    Only who owns the place may call this, before its first lease.
    """
    if world.replica.place:
        with world.registry.renewing() as leases:
            leases.end_all(world.replica.place)


def watch(world: World, store: KeyStore) -> None:
    """Note what a connection that is about to be opened stands on, so that no later change goes unseen."""
    if not (world.replica.shared and isinstance(store.backing, CloudHsmBacking)):
        return
    with world.registry.reading() as unit:
        cluster = unit.cluster(store.backing.cluster_id)
    version = None if cluster is None else cluster.version
    world.replica.watched[store.id] = Watch(store.scope, store.backing.cluster_id, version)


def hold(world: World, store: KeyStore, lease: Lease) -> None:
    """Enter in the registry that this replica may answer draws from the store, before it does.

    The transaction reads the store's row, which a disconnect writes, and writes what ends a disconnect
    reads: where the three are at odds, the database lets one of them start again.

    Raises:
        Conflict: the store is no longer CONNECTED as it was read, or the lease has been judged lapsed.

    """
    if not world.replica.shared:
        return
    with world.registry.writing() as unit:
        _require_unchanged(unit.key_store(store.scope, store.id), store)
        if not unit.leases.hold(lease.id, store.id):
            raise Conflict("the lease has been judged lapsed")


def open_gate(world: World, store: KeyStore, connection: HsmConnection, lease: Lease) -> None:
    """Let draws through to a connection that was opened under `lease`.

    Raises:
        Conflict: the lease has been replaced meanwhile; the connection would draw nothing, and is closed.

    """
    world.gate.open(store.scope, store.id, connection)
    if world.replica.lease is not lease:  # looked at last: who replaces it shuts the gate after that
        world.gate.drop(store.scope, store.id, connection)
        raise Conflict("the lease has been replaced")


@starting_again
def let_go(world: World, scope: Scope, key_store_id: str) -> None:
    """Shut the gate for one store, which waits for the draw under way, and enter so in the registry."""
    with world.turns.of(key_store_id):
        world.gate.shut(scope, key_store_id)
        if world.replica.shared:
            with world.registry.writing() as unit:
                release(world, unit, key_store_id)


def release(world: World, unit: Unit, key_store_id: str) -> None:
    """Enter, as part of a transaction, that the gate is shut for this store. Its turn must be held."""
    if world.replica.shared:
        unit.leases.let_go(world.replica.lease.id, key_store_id)
        world.replica.watched.pop(key_store_id, None)


def settle_disconnected(world: World, store: KeyStore) -> KeyStore:
    """Make DISCONNECTED of a DISCONNECTING that is due, if nobody holds the store; return it as it is then.

    Raises:
        Conflict: the row changed meanwhile.

    """
    with world.registry.writing() as unit:
        if world.replica.shared:
            unit.leases.lapse(store.id)
            if unit.leases.is_held(store.id):
                return store
        return advance_in(unit, store, Event.DISCONNECT_COMPLETED, world.clock.now())


def claim(world: World, store: KeyStore, lease: Lease) -> bool:
    """Take it upon this replica to complete a due CONNECTING; tell whether no other has.

    Raises:
        Conflict: the row changed meanwhile.

    """
    if not world.replica.shared:
        return True
    with world.registry.writing() as unit:
        unit.leases.lapse(store.id)
        _require_unchanged(unit.key_store(store.scope, store.id), store)
        return unit.leases.claim(lease.id, store.id)


def unclaim(world: World, store: KeyStore, lease: Lease) -> None:
    """Give a claim back. One that stays is its holder's own to take up, or goes with the lease."""
    if not world.replica.shared:
        return
    try:
        with world.registry.writing() as unit:
            unit.leases.unclaim(lease.id, store.id)
    except (Conflict, EnvironmentUnfit) as error:
        log.warning("the claim on key store %s stays for now: %s", store.id, error)


def heed(world: World, notice: Notice) -> None:
    """Do what another replica's change asks of this one."""
    watched = world.replica.watched
    if notice.topic is Topic.ANYTHING:
        look(world)
    elif notice.topic is Topic.FAULTS:
        world.faults.reload()
    elif notice.topic is Topic.CLOCK:
        _follow_clock(world)
    elif notice.id in watched or any(notice.id == watch.cluster_id for watch in list(watched.values())):
        _look_at_stores(world)


def look(world: World) -> None:
    """Read what may have changed unheard. It is done at each renewal, so that a lost notice does no harm."""
    _look_at_stores(world)
    world.faults.reload()
    _follow_clock(world)


def sweep(world: World) -> None:
    """Judge lapsed, long after their end, the leases that nobody waits for: a later `lapse`."""
    with world.registry.renewing() as leases:
        leases.sweep()


def give_back(world: World) -> None:
    """Shut the gate for good and end the lease, as the process ends: nobody has to wait for it.

    A thread that is late finds that the lease is no longer this replica's, opens nothing under it, and gets
    no other.
    """
    replica = world.replica
    with world.turns.of(_TURN):  # a renewal under way could put another lease in its place
        lease = replica.lease
        if replica.shared:
            replica.lease = GIVEN_BACK
    world.gate.shut_all()
    if not lease.id:
        return
    try:
        with world.registry.renewing() as leases:
            leases.end(lease.id)
    except (Conflict, EnvironmentUnfit) as error:
        log.warning("the lease %s stays until it lapses: %s", lease.id, error)


def _look_at_stores(world: World) -> None:
    """Let go of every store that is no longer CONNECTED, or whose cluster has changed.

    Likewise of what is open and held no more: a fail-over has lost the hold, or a copy of this process, in a
    machine that was cloned as it ran, has let go of it.
    """
    replica = world.replica
    opened = world.gate.open_stores()  # before the holds are read: what is open has been entered
    with world.registry.reading() as unit:
        holdings = unit.leases.holdings(replica.lease.id)
    held = {(each.scope, each.key_store_id) for each in holdings}
    for scope, key_store_id in {*opened}.intersection(world.gate.open_stores()) - held:
        log.warning("key store %s was open and not held", key_store_id)
        let_go(world, scope, key_store_id)
    for holding in holdings:
        watch = replica.watched.get(holding.key_store_id)
        is_same = watch is not None and watch.version == holding.cluster_version
        if holding.state is not ConnectionState.CONNECTED or not is_same:
            let_go(world, holding.scope, holding.key_store_id)


def _follow_clock(world: World) -> None:
    """Run as the clock has been set in the registry, though never back."""
    replica = world.replica
    with world.registry.reading() as unit:
        setting = unit.clock()
    if setting is None or setting == replica.clock_setting:
        return
    real = world.clock.real()
    behind = world.clock.now() - setting.at(real)
    world.clock.set(setting.advanced(real, behind) if behind > 0 else setting)
    replica.clock_setting = setting


def _require_unchanged(current: KeyStore | None, store: KeyStore) -> None:
    if current is None or (current.state, current.version) != (store.state, store.version):
        raise Conflict("the row has changed or gone since it was read")
