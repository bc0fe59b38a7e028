"""How a key store gets from one state to the next, and how what is due becomes a fact.

A row says CONNECTING or DISCONNECTING and until when. `settle` runs when somebody looks and on a ticker;
it is idempotent, and what it finds interrupted it takes up where the registry says it stood.
"""

import logging
import string
from dataclasses import replace
from typing import Final

from hsmstore.domain.cluster import Cluster
from hsmstore.domain.connection import Action, ConnectionState, Event
from hsmstore.domain.errors import (
    Conflict,
    CustomKeyStoreNotFoundException,
    KMSInternalException,
    UnsupportedOperationException,
)
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import CloudHsmBacking, ConnectionErrorCode, KeyStore
from hsmstore.domain.limits import HSMS_TO_CONNECT, KMSUSER_PASSWORD_MAX
from hsmstore.domain.ports import ConnectFailed, HsmConnection, HsmUnavailable, SealBroken
from hsmstore.service.world import World

log = logging.getLogger(__name__)

_ALPHANUMERIC: Final = string.ascii_letters + string.digits


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


def settle(world: World) -> None:
    """Make a fact of everything that is due."""
    with world.registry.reading() as unit:
        due = unit.due_key_stores(world.clock.now())
    for store in due:
        settle_store(world, store)


def settle_store(world: World, store: KeyStore) -> KeyStore:
    """Make a fact of what is due of one store, and return it as it is then."""
    if not _is_due(store, world.clock.now()):
        return store
    with world.turns.of(store.id):
        current = _reread(world, store)
        now = world.clock.now()
        if not _is_due(current, now):
            return current
        try:
            if current.state is ConnectionState.DISCONNECTING:
                return _replace(world, current, current.after(Event.DISCONNECT_COMPLETED, now))
            return _complete_connect(world, current, now)
        except Conflict:  # another process settled it, or a client moved it on
            return _reread(world, current)


def live_connection(world: World, scope: Scope, key_store_id: str) -> HsmConnection:
    """Return a connection to draw from, when the gate had none: settle, check, reopen.

    Raises:
        CustomKeyStoreNotFoundException, CustomKeyStoreInvalidStateException: as documented.
        UnsupportedOperationException: an external key store; it comes before its state matters.
        KMSInternalException: the store is CONNECTED but its cluster cannot be reached.

    """
    store = find(world, scope, key_store_id)
    if not isinstance(store.backing, CloudHsmBacking):
        raise UnsupportedOperationException(
            f"Custom key store {key_store_id} is an external key store; random bytes come from"
            " CloudHSM key stores only."
        )
    store.require(Action.GENERATE_RANDOM)
    with world.turns.of(store.id):
        connection = world.gate.find((scope, key_store_id))
        if connection is not None:
            return connection
        store = _reread(world, store)
        store.require(Action.GENERATE_RANDOM)
        return _reopen(world, store)


def resume(world: World) -> None:
    """Log in again wherever the registry says CONNECTED, as KMS stays logged in until Disconnect."""
    with world.registry.reading() as unit:
        stores = unit.connected_key_stores()
    for store in stores:
        try:
            live_connection(world, store.scope, store.id)
        except KMSInternalException as error:
            log.warning("key store %s stays CONNECTED, but %s", store.id, error.internal)


def disconnect(world: World, store: KeyStore, due_at: float) -> KeyStore:
    """Shut the gate, then say so in the registry: once DISCONNECTING can be read, no byte is given.

    Raises:
        CustomKeyStoreInvalidStateException: the state forbids it.
        Conflict: the row changed meanwhile; the gate is shut, and the next draw opens it if it may.

    """
    with world.turns.of(store.id):
        store = _reread(world, store)
        after = store.after(Event.DISCONNECT, world.clock.now(), due_at=due_at)
        world.gate.shut(store.scope, store.id)
        return _replace(world, store, after)


def cannot_communicate(key_store_id: str, reason: str) -> KMSInternalException:
    """Word the refusal of a CONNECTED store whose cluster does not answer; the text is ours."""
    return KMSInternalException(
        f"KMS cannot communicate with the CloudHSM cluster of custom key store {key_store_id}.",
        internal=reason,
    )


def password_identity(key_store_id: str) -> str:
    """Name the place that a kmsuser password is sealed for."""
    return f"key-store/{key_store_id}/kmsuser-password"


def new_password(world: World) -> str:
    """Return a password of 32 letters and digits (KMS Developer Guide: alphanumeric, 7 to 32)."""
    fair = 256 - 256 % len(_ALPHANUMERIC)  # beyond it, some letters would come more often than others
    letters = ""
    while len(letters) < KMSUSER_PASSWORD_MAX:
        drawn = world.entropy.random_bytes(KMSUSER_PASSWORD_MAX)
        letters += "".join(_ALPHANUMERIC[byte % len(_ALPHANUMERIC)] for byte in drawn if byte < fair)
    return letters[:KMSUSER_PASSWORD_MAX]


def _is_due(store: KeyStore, now: float) -> bool:
    return store.due_at is not None and store.due_at <= now


def _reread(world: World, store: KeyStore) -> KeyStore:
    with world.registry.reading() as unit:
        current = unit.key_store(store.scope, store.id)
    if current is None:
        raise CustomKeyStoreNotFoundException(f"Custom key store {store.id} has been deleted.")
    return current


def _replace(world: World, before: KeyStore, after: KeyStore) -> KeyStore:
    with world.registry.writing() as unit:
        return unit.replace_key_store(before, after)


def _complete_connect(world: World, store: KeyStore, now: float) -> KeyStore:
    """Connect for real. The gate opens only after the registry says CONNECTED."""
    try:
        connection, store = _log_in_and_rotate(world, store)
    except ConnectFailed as failure:
        log.info("key store %s failed to connect: %s", store.id, failure)
        current = _reread(world, store)  # the rotation may have been written ahead
        return _replace(world, current, current.after(Event.CONNECT_FAILED, now, error_code=failure.code))
    try:
        store = _replace(world, store, store.after(Event.CONNECT_SUCCEEDED, now))
    except BaseException:
        connection.close()
        raise
    world.gate.open(store.scope, store.id, connection)
    return store


def _reopen(world: World, store: KeyStore) -> HsmConnection:
    try:
        connection, _, _ = _log_in(world, store)
    except ConnectFailed as failure:
        raise cannot_communicate(store.id, str(failure)) from failure
    world.gate.open(store.scope, store.id, connection)
    return connection


def _log_in(world: World, store: KeyStore) -> tuple[HsmConnection, Cluster, str]:
    """Log in to the store's cluster as kmsuser; return the connection and the password that fitted.

    Raises:
        ConnectFailed: with the ConnectionErrorCode that AWS documents for what was found.

    """
    if not isinstance(store.backing, CloudHsmBacking):
        raise ConnectFailed(
            ConnectionErrorCode.XKS_PROXY_NOT_REACHABLE, "this simulator has no proxy client yet"
        )
    cluster = _usable_cluster(world, store.backing.cluster_id)
    *unsure, last = _passwords(world, store.id, store.backing)
    for password in unsure:
        try:
            return world.hsm.connect(cluster, password), cluster, password
        except ConnectFailed as failure:
            if failure.code is not ConnectionErrorCode.INVALID_CREDENTIALS:
                raise
    return world.hsm.connect(cluster, last), cluster, last


def _usable_cluster(world: World, cluster_id: str) -> Cluster:
    with world.registry.reading() as unit:
        cluster = unit.cluster(cluster_id)
    if cluster is None:
        raise ConnectFailed(ConnectionErrorCode.CLUSTER_NOT_FOUND, f"{cluster_id} is gone")
    if len(cluster.active_hsms) < HSMS_TO_CONNECT:
        raise ConnectFailed(ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS, f"{cluster.id} has no active HSM")
    if not cluster.kmsuser_exists:
        raise ConnectFailed(ConnectionErrorCode.USER_NOT_FOUND, f"{cluster.id} has no kmsuser")
    return cluster


def _passwords(world: World, key_store_id: str, backing: CloudHsmBacking) -> list[str]:
    """Return what may be kmsuser's password: after a crash in the middle of a rotation, either of two."""
    candidates = (backing.pending_password, backing.password)
    identity = password_identity(key_store_id)
    try:
        return [world.sealer.unseal(sealed, identity).decode() for sealed in candidates if sealed]
    except SealBroken as error:
        raise ConnectFailed(ConnectionErrorCode.INTERNAL_ERROR, str(error)) from error


def _log_in_and_rotate(world: World, store: KeyStore) -> tuple[HsmConnection, KeyStore]:
    """Log in, then change kmsuser's password to one that only the registry knows.

    KMS does so on every connect (KMS Developer Guide, "AWS CloudHSM key store concepts"). A token that its
    owner brought without the SO PIN is left as it is: nobody could ever reset it.
    """
    connection, cluster, password = _log_in(world, store)
    try:
        if cluster.crypto_officer_pin is not None:
            store = _rotate(world, store, connection, password)
    except HsmUnavailable as error:
        connection.close()
        raise ConnectFailed(ConnectionErrorCode.INTERNAL_ERROR, error.reason) from error
    except BaseException:
        connection.close()
        raise
    return connection, store


def _rotate(world: World, store: KeyStore, connection: HsmConnection, password: str) -> KeyStore:
    """Commit the new password as pending, set it, commit it as the password: no crash can lose it."""
    assert isinstance(store.backing, CloudHsmBacking)  # noqa: S101  # only such a store has logged in
    identity = password_identity(store.id)
    new = new_password(world)
    ahead = replace(
        store.backing,
        password=world.sealer.seal(password.encode(), identity),
        pending_password=world.sealer.seal(new.encode(), identity),
    )
    store = _replace(world, store, replace(store, backing=ahead))
    connection.set_password(password, new)
    done = replace(ahead, password=ahead.pending_password or ahead.password, pending_password=None)
    return _replace(world, store, replace(store, backing=done))
