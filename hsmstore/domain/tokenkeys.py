"""What the services need of the keys on a cluster's token; part of the port `HsmConnection`."""

from typing import NamedTuple, Protocol


class TokenKey(NamedTuple):
    """A secret key on a token, as its attributes CKA_LABEL and CKA_ID name it; either may be empty."""

    label: str
    key_id: bytes


class Sealed(NamedTuple):
    """What AES-GCM gives: an IV of 12 bytes, and the ciphertext with the tag, 16 bytes, behind it."""

    iv: bytes
    ciphertext: bytes


class KeyMaterialGone(Exception):
    """There is no such key on the token: it was never made there, or somebody has deleted it."""


class CiphertextRefused(Exception):
    """The token is well, and this is not what the key has encrypted: it, its IV or its AAD was altered."""


class KeysUnsupported(Exception):
    """The token's module lacks a mechanism that keys take; found when the session began."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenKeys(Protocol):
    """The AES-256 keys on one token. Plaintext goes in and out; the keys themselves never leave the token.

    Any method raises ConnectionClosed where `close` came first, and HsmUnavailable where the token is gone or
    its module failed. KeysUnsupported comes from those that need a mechanism which the module lacks.
    """

    def generate_key(self, label: str, key_id: bytes) -> None:
        """Make a persistent, sensitive, non-extractable key that is known to work and to survive a crash.

        `label` becomes its CKA_LABEL, `key_id`, which no other key has, its CKA_ID.
        """

    def encrypt(self, key_id: bytes, plaintext: bytes, aad: bytes) -> Sealed:
        """Encrypt with AES-GCM; the IV comes from the token's random number generator.

        Raises:
            KeyMaterialGone: no key of this id.

        """

    def decrypt(self, key_id: bytes, sealed: Sealed, aad: bytes) -> bytes:
        """Return what was encrypted with `aad`.

        Raises:
            KeyMaterialGone: no key of this id.
            CiphertextRefused: the tag does not fit.

        """

    def destroy_key(self, key_id: bytes) -> None:
        """Destroy every key of this id. Idempotent."""

    def has_key(self, key_id: bytes) -> bool:
        """Tell whether the token has a key of this id that can be used."""

    def keys(self) -> list[TokenKey]:
        """Return every secret key on the token, whoever made it. Its cost grows with their number."""
