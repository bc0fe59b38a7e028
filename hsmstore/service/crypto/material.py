"""Work with a key's material: on the token of its key store's cluster, and nowhere else.

Plaintext passes through; key material never leaves the token.

What goes wrong there is a KMSInvalidStateException, as documented for every key in a custom key store; only
what a caller may retry is told apart.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from hsmstore.domain.ciphertext import additional_data, head_of, pack
from hsmstore.domain.errors import (
    Conflict,
    DependencyTimeoutException,
    InvalidKeyUsageException,
    KMSInternalException,
    KMSInvalidStateException,
)
from hsmstore.domain.faults import Occasion, Phase
from hsmstore.domain.key import KmsKey
from hsmstore.domain.ports import (
    ConnectFailed,
    ConnectionClosed,
    HsmConnection,
    HsmTimedOut,
    HsmUnavailable,
)
from hsmstore.domain.tokenkeys import KeyMaterialGone, KeysUnsupported
from hsmstore.service.crypto.shapes import EncryptionAlgorithm
from hsmstore.service.faults import strike_at
from hsmstore.service.keys.resolving import resolve
from hsmstore.service.lifecycle import open_again
from hsmstore.service.shapes import EncryptionContext
from hsmstore.service.world import Call, World

log = logging.getLogger(__name__)

Result = TypeVar("Result")

UNREACHABLE: Final = "KMS cannot communicate with your CloudHSM cluster"
"""Documented (KMS Developer Guide, "Fix a custom key store"), without a full stop."""


def on_token(world: World, key: KmsKey, work: Callable[[HsmConnection], Result]) -> Result:
    """Return what `work` does over the live connection to the key's cluster.

    A connection that broke is dropped, and the work is tried once more over a new one.

    Raises:
        KMSInvalidStateException: the cluster does not answer, or the material is not there.
        CiphertextRefused: a ciphertext does not fit.
        DependencyTimeoutException: the HSM did not answer in time.
        KMSInternalException: the module cannot work with keys; its log says what it lacks.
        Conflict: the key's store is no longer connected; the key says so when it is read again.

    """
    with _in_the_words_of_kms(key):
        connection = world.gate.find((key.store.scope, key.store.id))
        if connection is not None:
            try:
                return work(connection)
            except HsmTimedOut:
                raise
            except ConnectionClosed:
                pass  # it was shut between the look and the work, or its lease has lapsed
            except HsmUnavailable as error:
                log.warning("key store %s: %s; logging in again", key.store.id, error.reason)
                world.gate.drop(key.store.scope, key.store.id, connection)
        return work(open_again(world, key.store))


def usable_key(world: World, call: Call, name: str, algorithm: EncryptionAlgorithm | None = None) -> KmsKey:
    """Return the key that the request names, if its state and kind allow cryptography with `algorithm`.

    Raises:
        NotFoundException: the account has none in the Region.
        DisabledException, KMSInvalidStateException, InvalidKeyUsageException: as `require_usable`.

    """
    key = resolve(world, call, name)
    require_usable(key, algorithm)
    return key


def require_usable(key: KmsKey, algorithm: EncryptionAlgorithm | None) -> None:
    """Refuse a key that is not Enabled, and an algorithm that is not for symmetric keys.

    Raises:
        DisabledException: it is Disabled.
        KMSInvalidStateException: it is pending deletion, or its store is not connected.
        InvalidKeyUsageException: the algorithm; its text is by analogy with one recorded for HMAC keys.

    """
    key.require_usable()
    if algorithm not in {None, EncryptionAlgorithm.SYMMETRIC_DEFAULT}:
        raise InvalidKeyUsageException(
            f"Algorithm {algorithm} is incompatible with key spec SYMMETRIC_DEFAULT."
        )


def encrypt_under(world: World, key: KmsKey, plaintext: bytes, context: EncryptionContext | None) -> bytes:
    """Return the ciphertext blob; it raises what `on_token` does."""
    strike_phase(world, key, Phase.ENCRYPT)
    head = head_of(key.arn)
    aad = additional_data(head, context)
    return pack(head, on_token(world, key, lambda token: token.encrypt(key.material_id, plaintext, aad)))


def generate_under(
    world: World, key: KmsKey, length: int, context: EncryptionContext | None
) -> tuple[bytes, bytes]:
    """Return random bytes of the token's, and the blob that encrypts them; it raises what `on_token` does."""
    strike_phase(world, key, Phase.DRAW)
    strike_phase(world, key, Phase.ENCRYPT)
    head = head_of(key.arn)
    aad = additional_data(head, context)

    def work(token: HsmConnection) -> tuple[bytes, bytes]:
        drawn = token.draw(length)
        return drawn, pack(head, token.encrypt(key.material_id, drawn, aad))

    return on_token(world, key, work)


def strike_phase(world: World, key: KmsKey, phase: Phase) -> None:
    """Let the fault plan do to a call to the key's HSM what it has in store for it."""
    if world.faults.active:
        strike_at(world, Occasion(phase, key.store.id, key.cluster_id))


@contextmanager
def _in_the_words_of_kms(key: KmsKey) -> Iterator[None]:
    try:
        yield
    except ConnectionClosed as error:
        raise Conflict from error
    except KeyMaterialGone as error:
        raise KMSInvalidStateException(
            f"The key material of {key.arn} is not in the CloudHSM cluster."
        ) from error
    except KeysUnsupported as error:
        raise KMSInternalException(
            "The CloudHSM cluster cannot work with symmetric keys.", internal=error.reason
        ) from error
    except HsmTimedOut as error:
        raise DependencyTimeoutException(
            "The CloudHSM cluster did not answer in time.", internal=error.reason
        ) from error
    except HsmUnavailable as error:
        raise KMSInvalidStateException(UNREACHABLE, internal=error.reason) from error
    except ConnectFailed as failure:
        raise KMSInvalidStateException(UNREACHABLE, internal=str(failure)) from failure
