"""Key material on the token: making it, destroying it, and what stays where that was cut short.

Making: it is written down that material may be there, then it is made, then the key's row replaces the note.
Deleting: a note replaces the key's row, then the material is destroyed, then the note is crossed out. So a
crash, or a cluster that is out of reach, leaves a note and never a key without material. Of a key that had
been in use AWS documents the same: best effort, and an orphan in the cluster where that fails (KMS Developer
Guide, "Deleting keys from an AWS CloudHSM key store").
"""

import logging
from collections.abc import Iterable

from hsmstore.domain.checkpoints import Checkpoint
from hsmstore.domain.errors import (
    AwsError,
    Conflict,
    DependencyTimeoutException,
    EnvironmentUnfit,
    UnsupportedOperationException,
)
from hsmstore.domain.key import KmsKey, Remains
from hsmstore.domain.ports import ConnectionClosed, HsmConnection, HsmTimedOut, HsmUnavailable
from hsmstore.domain.tokenkeys import KeysUnsupported
from hsmstore.domain.trail import UNRECORDED, Recording, Seen
from hsmstore.service.lifecycle import cannot_communicate, live_connection
from hsmstore.service.world import World

log = logging.getLogger(__name__)


def make(world: World, key: KmsKey) -> Remains:
    """Make the key's material: AES-256, labelled with the key's ARN, never to leave the token.

    Until the key's row is written, what is returned says that the material is there.

    Raises:
        CustomKeyStoreNotFoundException, CustomKeyStoreInvalidStateException: the store is not connected.
        UnsupportedOperationException: the module cannot make such keys.
        KMSInternalException, DependencyTimeoutException: the HSM failed or did not answer.
        Conflict: the connection was shut meanwhile.

    """
    connection = live_connection(world, key.scope, key.store.id)
    remains = _write_ahead(world, key)
    try:
        _generate(world, key, connection)
    except Conflict:  # nothing was done
        _cross_out(world, remains)
        raise
    except AwsError:
        destroy(world, remains)
        raise
    world.checkpoint(Checkpoint.KEY_MADE)
    return remains


def _write_ahead(world: World, key: KmsKey) -> Remains:
    """Write down that the key's material may be on the token from now on."""
    remains = _remains(key, world.clock.now(), unfinished=True)
    with world.registry.writing() as unit:
        unit.add_remains(remains)
    world.checkpoint(Checkpoint.KEY_AHEAD)
    return remains


def _generate(world: World, key: KmsKey, connection: HsmConnection) -> None:
    try:
        connection.generate_key(key.arn, key.material_id)
    except ConnectionClosed as error:
        raise Conflict from error
    except KeysUnsupported as error:
        raise UnsupportedOperationException(
            f"The CloudHSM cluster of custom key store {key.store.id} cannot make AES keys.",
            internal=error.reason,
        ) from error
    except HsmTimedOut as error:
        raise DependencyTimeoutException(
            f"The CloudHSM cluster of custom key store {key.store.id} did not answer in time.",
            internal=error.reason,
        ) from error
    except HsmUnavailable as error:
        world.gate.drop(key.scope, key.store.id, connection)
        raise cannot_communicate(key.store.id, error.reason) from error


def delete(world: World, key: KmsKey) -> None:
    """Delete a key, and its material if its cluster can be reached.

    Raises:
        Conflict: somebody changed or deleted the key first.

    """
    remains = _remains(key, world.clock.now(), unfinished=False)
    recording = _own_event(world, key, remains.at)
    with world.registry.writing() as unit:
        unit.remove_key(key)
        unit.add_remains(remains)
        recording.commit(unit)
    world.checkpoint(Checkpoint.KEY_FORGOTTEN)
    destroyed = destroy(world, remains)
    status = {"backingKeyId": key.material_id.hex(), "deletionStatus": "SUCCESS" if destroyed else "FAILURE"}
    recording.add({"backingKeysDeletionStatus": [status]})
    recording.end()
    if not destroyed:
        log.warning("the key material of %s is left on %s", key.arn, remains.cluster_id)


def destroy(world: World, remains: Remains) -> bool:
    """Destroy what is left on a token, and tell whether that succeeded. Idempotent."""
    try:
        connection = live_connection(world, remains.scope, remains.key_store_id)
        connection.destroy_key(remains.material_id)
    except (AwsError, EnvironmentUnfit, Conflict, ConnectionClosed, HsmUnavailable, KeysUnsupported) as error:
        log.info("the key material of %s is not destroyed: %s", remains.arn, error)
        return False
    _cross_out(world, remains)
    return True


def sweep(world: World) -> None:
    """Destroy whatever material no key has, wherever its cluster can be reached; no server may run."""
    with world.registry.reading() as unit:
        left = [(remains, unit.cluster(remains.cluster_id)) for remains in unit.remains()]
    for remains, cluster in left:
        if cluster is not None:
            destroy(world, remains)
        else:  # it went with the cluster's token
            _cross_out(world, remains)


def settle_keys(world: World, due: Iterable[KmsKey]) -> bool:
    """Delete the keys whose waiting period is over, and tell whether that went well."""
    failed = [key for key in due if not _delete_alone(world, key)]
    return not failed


def _cross_out(world: World, remains: Remains) -> None:
    with world.registry.writing() as unit:
        unit.remove_remains(remains.key_id)


def _own_event(world: World, key: KmsKey, at: float) -> Recording:
    """Open the record of DeleteKey, which nobody calls: KMS does it when the waiting period is over."""
    if world.trail is None:
        return UNRECORDED
    recording = world.trail.begin(Seen(at, "DeleteKey", read_only=False, scope=key.scope))
    recording.found({key.id: key})
    return recording


def _delete_alone(world: World, key: KmsKey) -> bool:
    try:
        delete(world, key)
    except Conflict:  # its deletion was cancelled, or is done
        return True
    except Exception:
        log.exception("key %s cannot be deleted", key.arn)
        return False
    return True


def _remains(key: KmsKey, at: float, *, unfinished: bool) -> Remains:
    return Remains(
        key_id=key.id,
        scope=key.scope,
        key_store_id=key.store.id,
        cluster_id=key.cluster_id,
        at=at,
        unfinished=unfinished,
    )
