"""How a key store gets from one state to the next, and how what is due becomes a fact.

A row says CONNECTING or DISCONNECTING and until when. `settle` runs when somebody looks and on a ticker;
it is idempotent, and what it finds interrupted it takes up where the registry says it stood.
"""

import logging
from collections.abc import Iterable
from typing import Final

from hsmstore.domain.checkpoints import Checkpoint
from hsmstore.domain.connection import Action, ConnectionState, Event
from hsmstore.domain.errors import (
    AwsError,
    Conflict,
    CustomKeyStoreInvalidStateException,
    CustomKeyStoreNotFoundException,
    DependencyTimeoutException,
    EnvironmentUnfit,
    KMSInternalException,
    UnsupportedOperationException,
)
from hsmstore.domain.faults import Effect, Occasion, Phase
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore
from hsmstore.domain.lease import Lease
from hsmstore.domain.ports import ConnectFailed, HsmConnection, HsmUnavailable
from hsmstore.domain.profile import PHASES
from hsmstore.domain.trail import UNRECORDED, Recording
from hsmstore.service.advance import advance, advance_in
from hsmstore.service.login import log_in, log_in_and_rotate
from hsmstore.service.replica import (
    claim,
    current_lease,
    hold,
    let_go,
    open_gate,
    release,
    settle_disconnected,
    unclaim,
    watch,
)
from hsmstore.service.world import World, starting_again

log = logging.getLogger(__name__)

_PHASES: Final = {
    ConnectionState.CONNECTING: Phase.CONNECT,
    ConnectionState.DISCONNECTING: Phase.DISCONNECT,
}


def find(world: World, scope: Scope, key_store_id: str) -> KeyStore:
    """Return the store as it stands now, what is due settled.

    Raises:
        CustomKeyStoreNotFoundException: the scope has none of this id; the text is ours.

    """
    with world.registry.reading() as unit:
        store = unit.key_store(scope, key_store_id)
    if store is None:
        raise CustomKeyStoreNotFoundException(
            f"Custom key store {key_store_id} does not exist in account {scope.account},"
            f" Region {scope.region}."
        )
    return settle_store(world, store)


def settle(world: World) -> bool:
    """Make a fact of every store that is due, and tell whether that went well."""
    now = world.clock.now()
    with world.registry.reading() as unit:
        due = unit.due_key_stores(now)
    return settle_stores(world, due, now)


def settle_stores(world: World, due: Iterable[KeyStore], now: float) -> bool:
    """Make a fact of each store that was due at `now`, and tell whether all went well; none stops another."""
    failed = [store for store in due if not _settle_alone(world, store, now)]
    return not failed


def settle_store(world: World, store: KeyStore) -> KeyStore:
    """Make a fact of what is due of one store, and return it as it is then.

    Where the registry cannot be written the store stays as it is, for the next look.
    """
    if not _is_due(world, store):
        return store
    with world.turns.of(store.id):
        current = _reread(world, store)
        if not _is_due(world, current):
            return current
        try:
            if current.state is ConnectionState.DISCONNECTING:
                return settle_disconnected(world, current)
            return _complete_connect(world, current)
        except Conflict:  # another process settled it, or a client moved it on
            return _reread(world, current)
        except EnvironmentUnfit as error:
            log.warning("key store %s stays %s for now: %s", store.id, current.state, error)
            return current


@starting_again
def live_connection(world: World, scope: Scope, key_store_id: str) -> HsmConnection:
    """Return a connection to draw from, when the gate had none: settle, check, reopen.

    Raises:
        CustomKeyStoreNotFoundException, CustomKeyStoreInvalidStateException: as documented.
        UnsupportedOperationException: an external key store; it comes before its state matters.
        KMSInternalException: the store is CONNECTED but its cluster cannot be reached.
        EnvironmentUnfit: this replica has lost its registry.

    """
    current_lease(world)  # without one there is nothing to wait for
    store = find(world, scope, key_store_id)
    if not isinstance(store.backing, CloudHsmBacking):
        raise UnsupportedOperationException(
            f"Custom key store {key_store_id} is an external key store; random bytes come from"
            " CloudHSM key stores only."
        )
    store.require(Action.GENERATE_RANDOM)
    try:
        return open_again(world, store)
    except ConnectFailed as failure:
        refusal = did_not_answer if failure.silent else cannot_communicate
        raise refusal(key_store_id, str(failure)) from failure


def open_again(world: World, store: KeyStore) -> HsmConnection:
    """Return a connection to the cluster of a CONNECTED store, when the gate had none.

    Raises:
        ConnectFailed: the cluster cannot be reached.
        Conflict: the store is not CONNECTED any more, or the lease has been judged lapsed.
        EnvironmentUnfit: this replica has lost its registry.

    """
    lease = current_lease(world)
    with world.turns.of(store.id):
        connection = world.gate.find((store.scope, store.id))
        if connection is not None:
            return connection
        with world.registry.reading() as unit:
            current = unit.key_store(store.scope, store.id)
        if current is None or current.state is not ConnectionState.CONNECTED:
            raise Conflict(f"key store {store.id} is not connected any more")
        watch(world, current)
        hold(world, current, lease)
        connection, _, _ = log_in(world, current, lease)
        open_gate(world, store, connection, lease)
        return connection


def resume_elsewhere(world: World) -> None:
    """Take up the sessions of kmsuser that are not KMS's, before anybody can meet them missing."""
    with world.registry.reading() as unit:
        clusters = [cluster for cluster in unit.clusters() if cluster.kmsuser_elsewhere]
    for cluster in clusters:
        try:
            world.hsm.log_in_elsewhere(cluster)
        except (HsmUnavailable, EnvironmentUnfit, OSError) as error:
            log.warning("kmsuser of %s is not logged in again: %s", cluster.id, error)


def resume(world: World) -> None:
    """Take up KMS's own sessions, which last until Disconnect."""
    with world.registry.reading() as unit:
        stores = unit.connected_key_stores()
    for store in stores:
        try:
            live_connection(world, store.scope, store.id)
        except (CustomKeyStoreInvalidStateException, CustomKeyStoreNotFoundException):
            log.debug("key store %s: a client has disconnected or deleted it meanwhile", store.id)
        except (AwsError, EnvironmentUnfit) as error:
            log.warning("key store %s is not logged in again: %s", store.id, _inner(error))


def connect(world: World, store: KeyStore, recording: Recording = UNRECORDED) -> KeyStore:
    """Say in the registry that the store is CONNECTING, and until when.

    Raises:
        CustomKeyStoreInvalidStateException: the state forbids it.
        Conflict: the row changed meanwhile.

    """
    store.require(Action.CONNECT)
    due_at = world.clock.now() + _duration(world, store, Phase.CONNECT)
    store = advance(world, store, Event.CONNECT, due_at=due_at, recording=recording)
    world.checkpoint(Checkpoint.CONNECTING)
    return store


def begin_disconnect(world: World, store: KeyStore, recording: Recording = UNRECORDED) -> KeyStore:
    """Shut the gate, then say so in the registry: once DISCONNECTING can be read, this process gives no byte.

    Other replicas may, until they have heard of it; and the store is DISCONNECTING until they have.

    Raises:
        CustomKeyStoreInvalidStateException: the state forbids it.
        Conflict: the row changed meanwhile; the gate is shut, and the next draw opens it if it may.

    """
    with world.turns.of(store.id):
        store = _reread(world, store)
        store.require(Action.DISCONNECT)
        due_at = world.clock.now() + _duration(world, store, Phase.DISCONNECT)
        world.gate.shut(store.scope, store.id)
        world.checkpoint(Checkpoint.GATE_SHUT)
        with world.registry.writing() as unit:
            store = advance_in(unit, store, Event.DISCONNECT, world.clock.now(), due_at=due_at)
            release(world, unit, store.id)
            recording.commit(unit)
        world.checkpoint(Checkpoint.DISCONNECTING)
        return store


def interrupt(world: World, cluster_id: str) -> None:
    """Drop the live connection to a cluster that has changed: the next draw finds out what is true now."""
    with world.registry.reading() as unit:
        store = unit.key_store_of_cluster(cluster_id)
    if store is not None:
        let_go(world, store.scope, store.id)


def cannot_communicate(key_store_id: str, reason: str) -> KMSInternalException:
    """Word the refusal of a CONNECTED store whose cluster does not answer; the text is ours."""
    return KMSInternalException(
        f"KMS cannot communicate with the CloudHSM cluster of custom key store {key_store_id}.",
        internal=reason,
    )


def did_not_answer(key_store_id: str, reason: str) -> DependencyTimeoutException:
    """Word the refusal where the cluster's HSM took too long; the text is ours."""
    return DependencyTimeoutException(
        f"The CloudHSM cluster of custom key store {key_store_id} did not answer in time.",
        internal=reason,
    )


def _settle_alone(world: World, store: KeyStore, now: float) -> bool:
    try:
        settled = settle_store(world, store)
    except CustomKeyStoreNotFoundException:  # deleted meanwhile
        return True
    except EnvironmentUnfit as error:
        log.warning("key store %s cannot be settled for now: %s", store.id, error)
        return False
    except Exception:
        log.exception("key store %s cannot be settled", store.id)
        return False
    if settled.due_at is None or settled.due_at > now:
        return True
    return world.replica.shared or _is_held(world, settled)  # for others, or for a fault's end


def _inner(error: Exception) -> str:
    return getattr(error, "internal", None) or str(error)


def _is_due(world: World, store: KeyStore) -> bool:
    if store.due_at is None or store.due_at > world.clock.now():
        return False
    return not _is_held(world, store)


def _is_held(world: World, store: KeyStore) -> bool:
    return world.faults.hangs(_occasion(store, _PHASES[store.state]))


def _duration(world: World, store: KeyStore, phase: Phase) -> float:
    """Return how many seconds the phase takes, what faults add to it included."""
    pace = PHASES[world.terms.profile, store.type]
    late = world.faults.meet(_occasion(store, phase), {Effect.LATENCY})
    return (pace.connect if phase is Phase.CONNECT else pace.disconnect) + sum(f.seconds for f in late)


def _occasion(store: KeyStore, phase: Phase) -> Occasion:
    backing = store.backing
    cluster_id = backing.cluster_id if isinstance(backing, CloudHsmBacking) else None
    return Occasion(phase, store.id, cluster_id)


def _reread(world: World, store: KeyStore) -> KeyStore:
    with world.registry.reading() as unit:
        current = unit.key_store(store.scope, store.id)
    if current is None:
        raise CustomKeyStoreNotFoundException(f"Custom key store {store.id} has been deleted.")
    return current


def _replace(world: World, before: KeyStore, after: KeyStore) -> KeyStore:
    with world.registry.writing() as unit:
        return unit.replace_key_store(before, after)


def _complete_connect(world: World, store: KeyStore) -> KeyStore:
    """Connect for real, unless another replica does."""
    lease = current_lease(world)
    if not claim(world, store, lease):
        return store
    try:
        watch(world, store)
        return _connect(world, store, lease)
    finally:
        unclaim(world, store, lease)


def _connect(world: World, store: KeyStore, lease: Lease) -> KeyStore:
    """Log in. The gate opens only once the registry says CONNECTED, and that this replica holds the store."""
    try:
        _meet_connection_errors(world, store)
        connection, store = log_in_and_rotate(world, store, lease)
    except ConnectFailed as failure:
        log.info("key store %s failed to connect: %s", store.id, failure)
        current = _reread(world, store)  # the rotation may have been written ahead
        return advance(world, current, Event.CONNECT_FAILED, failure=failure)
    try:
        store = advance(world, store, Event.CONNECT_SUCCEEDED)
        hold(world, store, lease)
    except BaseException:
        connection.close()
        raise
    world.checkpoint(Checkpoint.CONNECTED)
    open_gate(world, store, connection, lease)
    return store


def _meet_connection_errors(world: World, store: KeyStore) -> None:
    for fault in world.faults.meet(_occasion(store, Phase.CONNECT), {Effect.CONNECTION_ERROR}):
        raise ConnectFailed(fault.connection_error, f"injected by {fault.id}")
