"""Sealing of secrets at rest: AES-256-GCM under one master key that lies in a file of its own.

A sealed value is

    version (1 byte, 0x01) | nonce (12 bytes) | ciphertext | tag (16 bytes)

and authenticates its version and its identity (the row and column that it belongs to), so that it opens
nowhere else. Nonces are random: 2^32 of them may be drawn before their collision becomes likelier than
NIST SP 800-38D (8.3) allows, and a registry writes a few in a day.
"""

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.ports import Entropy, SealBroken

MASTER_KEY_SIZE: Final = 32
_VERSION: Final = b"\x01"
_NONCE_SIZE: Final = 12
_TAG_SIZE: Final = 16
_SEALED_MIN: Final = len(_VERSION) + _NONCE_SIZE + _TAG_SIZE
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class AesGcmSealer:
    """The Sealer under one master key of 32 bytes. Safe to share between threads."""

    def __init__(self, master_key: bytes, entropy: Entropy) -> None:
        if len(master_key) != MASTER_KEY_SIZE:  # AESGCM would accept 16 and 24 too
            raise ValueError(f"a master key has {MASTER_KEY_SIZE} bytes, not {len(master_key)}")
        self._cipher = AESGCM(master_key)
        self._entropy = entropy

    def seal(self, plaintext: bytes, identity: str) -> bytes:
        """Return `plaintext` encrypted and bound to `identity`: 29 bytes longer."""
        nonce = self._entropy.random_bytes(_NONCE_SIZE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, _associated(identity))

    def unseal(self, sealed: bytes, identity: str) -> bytes:
        """Return what was sealed for `identity`.

        Raises:
            SealBroken: it was altered, sealed for another identity, or under another master key.

        """
        if len(sealed) < _SEALED_MIN or not sealed.startswith(_VERSION):
            raise SealBroken(f"the sealed value of {identity} is not of a form that this version knows")
        body = len(_VERSION) + _NONCE_SIZE
        try:
            return self._cipher.decrypt(sealed[len(_VERSION) : body], sealed[body:], _associated(identity))
        except InvalidTag:
            raise SealBroken(f"the sealed value of {identity} does not open under this master key") from None


def _associated(identity: str) -> bytes:
    return _VERSION + identity.encode()


def open_master_key(path: Path, entropy: Entropy, *, may_create: bool = True) -> bytes:
    """Return the master key that `path` holds: 32 bytes, made on first use.

    Pass `may_create=False` where sealed values exist already: a fresh key would open none of them.

    Raises:
        EnvironmentUnfit: it cannot be read or made, others may read it, or it is no master key.

    """
    try:
        if not path.exists():
            if not may_create:
                raise EnvironmentUnfit(
                    f"the master key {path} is missing, and the registry's secrets are sealed with it",
                    "restore it from a backup, copy another replica's, or start empty in another directory",
                )
            _create(path, entropy)
        return _read(path)
    except OSError as error:
        raise EnvironmentUnfit(
            f"the master key {path} cannot be used: {error.strerror}",
            "give this user the file and write permission to its directory",
        ) from error


def _read(path: Path) -> bytes:
    """Return the key, judged by the descriptor it is read from: a path could change in between."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO in its place would wait for a writer
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise EnvironmentUnfit(f"the master key {path} is not a regular file", "move it away")
        if status.st_mode & _OTHERS:
            raise EnvironmentUnfit(f"the master key {path} is open to other users", f"chmod 600 {path}")
        key = os.read(descriptor, MASTER_KEY_SIZE + 1)
    finally:
        os.close(descriptor)
    if len(key) != MASTER_KEY_SIZE:
        raise EnvironmentUnfit(
            f"the master key {path} does not have exactly {MASTER_KEY_SIZE} bytes",
            "restore it from a backup; a new one would open none of the sealed secrets",
        )
    return key


def _create(path: Path, entropy: Entropy) -> None:
    """Write a fresh key so that `path` never names half of one, whoever else starts or dies meanwhile."""
    draft = path.with_name(f".{path.name}.{entropy.random_bytes(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(entropy.random_bytes(MASTER_KEY_SIZE))
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, path)
    finally:
        draft.unlink()


def _publish(draft: Path, path: Path) -> None:
    """Give the draft its name, unless somebody was faster: then theirs is the key."""
    try:
        os.link(draft, path)  # unlike a rename, it never replaces
    except FileExistsError:
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
