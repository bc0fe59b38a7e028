"""How KMS logs in to a store's cluster as kmsuser, and changes its password.

Raised throughout: ConnectFailed, with the ConnectionErrorCode that AWS documents for what was found.
"""

import logging
import string
from contextlib import suppress
from dataclasses import replace
from typing import Final

from hsmstore.domain.checkpoints import Checkpoint
from hsmstore.domain.cluster import Cluster
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import Conflict
from hsmstore.domain.keystore import CloudHsmBacking, ConnectionErrorCode, KeyStore
from hsmstore.domain.lease import Lease
from hsmstore.domain.limits import HSMS_TO_CONNECT, KMSUSER_PASSWORD_MAX
from hsmstore.domain.mechanisms import lacking_for_keys
from hsmstore.domain.ports import ConnectFailed, HsmConnection, HsmTimedOut, HsmUnavailable, SealBroken
from hsmstore.service.world import World

log = logging.getLogger(__name__)

_ALPHANUMERIC: Final = string.ascii_letters + string.digits


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


def log_in(world: World, store: KeyStore, lease: Lease) -> tuple[HsmConnection, Cluster, str]:
    """Log in to the store's cluster as kmsuser; return the connection and the password that fitted.

    The connection draws no longer than the lease lasts.

    Raises:
        ConnectFailed: with the ConnectionErrorCode that AWS documents for what was found.

    """
    if not isinstance(store.backing, CloudHsmBacking):
        raise ConnectFailed(
            ConnectionErrorCode.XKS_PROXY_NOT_REACHABLE, "this simulator has no proxy client yet"
        )
    cluster = _usable_cluster(world, store)
    passwords = _passwords(world, store.id, store.backing)
    connection, password = _try_passwords(world, cluster, passwords, lease)
    if (lack := lacking_for_keys(connection.mechanisms)) is not None:
        log.warning("key store %s: %s in %s", store.id, lack, cluster.id)
    return connection, cluster, password


def _try_passwords(
    world: World, cluster: Cluster, passwords: list[str], lease: Lease
) -> tuple[HsmConnection, str]:
    """Return the connection and the password that fitted; only the last one counts when it does not."""
    *unsure, last = passwords
    for password in unsure:
        try:
            return world.hsm.connect(cluster, password, lease), password
        except ConnectFailed as failure:
            if failure.code is not ConnectionErrorCode.INVALID_CREDENTIALS:
                raise
    try:
        connection = world.hsm.connect(cluster, last, lease)
    except ConnectFailed as failure:
        if failure.code is ConnectionErrorCode.INVALID_CREDENTIALS:
            _count_logins(world, cluster, cluster.failed_logins + 1)
        raise
    if cluster.failed_logins:
        _count_logins(world, cluster, 0)
    return connection, last


def _count_logins(world: World, cluster: Cluster, failed: int) -> None:
    """Keep count of wrong passwords: a CloudHSM user is locked out after five."""
    with suppress(Conflict), world.registry.writing() as unit:  # its owner changed it: counted anew
        unit.replace_cluster(cluster, replace(cluster, failed_logins=failed))


def _usable_cluster(world: World, store: KeyStore) -> Cluster:
    """Return the store's cluster, if nothing stands between KMS and kmsuser's login.

    Raises:
        ConnectFailed: something does; the most distant cause is found first.

    """
    assert isinstance(store.backing, CloudHsmBacking)  # noqa: S101  # only such a store has a cluster
    with world.registry.reading() as unit:
        cluster = unit.cluster(store.backing.cluster_id)
    if cluster is None:
        raise ConnectFailed(
            ConnectionErrorCode.CLUSTER_NOT_FOUND, f"cluster {store.backing.cluster_id} does not exist"
        )
    if not cluster.network_reachable:
        raise ConnectFailed(ConnectionErrorCode.NETWORK_ERRORS, f"no network to {cluster.id}")
    if store.state is ConnectionState.CONNECTING:  # a connected store has its addresses
        _check_subnets(cluster)
    if len(cluster.active_hsms) < HSMS_TO_CONNECT:
        raise ConnectFailed(ConnectionErrorCode.INSUFFICIENT_CLOUDHSM_HSMS, f"{cluster.id} has no active HSM")
    if not cluster.kmsuser_exists:
        without = [hsm.id for hsm in cluster.hsms if not hsm.has_kmsuser]
        raise ConnectFailed(ConnectionErrorCode.USER_NOT_FOUND, f"no kmsuser on {', '.join(without)}")
    if world.replica.shared and cluster.kmsuser_elsewhere:  # the lock on kmsuser is another machine's
        raise ConnectFailed(ConnectionErrorCode.USER_LOGGED_IN, f"kmsuser of {cluster.id} is logged in")
    if cluster.locked_out:
        raise ConnectFailed(
            ConnectionErrorCode.USER_LOCKED_OUT, f"{cluster.failed_logins} wrong passwords in a row"
        )
    return cluster


def _check_subnets(cluster: Cluster) -> None:
    for subnet in cluster.subnets:
        if not subnet.exists:
            raise ConnectFailed(ConnectionErrorCode.SUBNET_NOT_FOUND, f"subnet {subnet.id} has been deleted")
        if not subnet.free_addresses:
            raise ConnectFailed(
                ConnectionErrorCode.INSUFFICIENT_FREE_ADDRESSES_IN_SUBNET,
                f"subnet {subnet.id} has no free address",
            )


def _passwords(world: World, key_store_id: str, backing: CloudHsmBacking) -> list[str]:
    """Return what may be kmsuser's password: after a crash in the middle of a rotation, either of two."""
    candidates = (backing.pending_password, backing.password)
    identity = password_identity(key_store_id)
    try:
        return [world.sealer.unseal(sealed, identity).decode() for sealed in candidates if sealed]
    except SealBroken as error:
        raise ConnectFailed(ConnectionErrorCode.INTERNAL_ERROR, str(error)) from error


def log_in_and_rotate(world: World, store: KeyStore, lease: Lease) -> tuple[HsmConnection, KeyStore]:
    """Log in, then change kmsuser's password to one that only the registry knows.

    KMS does so on every connect (KMS Developer Guide, "AWS CloudHSM key store concepts"). A token that its
    owner brought without the SO PIN is left as it is: nobody could ever reset it.
    """
    connection, cluster, password = log_in(world, store, lease)
    world.checkpoint(Checkpoint.LOGGED_IN)
    try:
        if cluster.crypto_officer_pin is not None:
            store = _rotate(world, store, connection, password)
    except HsmUnavailable as error:
        connection.close()
        silent = isinstance(error, HsmTimedOut)
        code = ConnectionErrorCode.NETWORK_ERRORS if silent else ConnectionErrorCode.INTERNAL_ERROR
        raise ConnectFailed(code, error.reason) from error
    except BaseException:
        connection.close()
        raise
    return connection, store


def _rotate(world: World, store: KeyStore, connection: HsmConnection, password: str) -> KeyStore:
    """Commit the new password as pending, set it, commit it as the password: no crash can lose it.

    A rotation that was interrupted is ended and not begun anew. Who was interrupted may be a replica that
    stood still for long enough to be taken for dead: when it goes on, it sets the same password once more.
    """
    assert isinstance(store.backing, CloudHsmBacking)  # noqa: S101  # only such a store has logged in
    *begun, _ = _passwords(world, store.id, store.backing)
    new = begun[0] if begun else new_password(world)
    identity = password_identity(store.id)
    ahead = replace(
        store.backing,
        password=world.sealer.seal(password.encode(), identity),
        pending_password=world.sealer.seal(new.encode(), identity),
    )
    store = _write(world, store, ahead)
    world.checkpoint(Checkpoint.PASSWORD_PENDING)
    if password != new:
        connection.set_password(password, new)
    world.checkpoint(Checkpoint.PASSWORD_SET)
    done = replace(ahead, password=ahead.pending_password or ahead.password, pending_password=None)
    store = _write(world, store, done)
    world.checkpoint(Checkpoint.PASSWORD_COMMITTED)
    return store


def _write(world: World, store: KeyStore, backing: CloudHsmBacking) -> KeyStore:
    with world.registry.writing() as unit:
        return unit.replace_key_store(store, replace(store, backing=backing))
