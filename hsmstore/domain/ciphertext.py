"""The ciphertext blob: what Encrypt gives out and Decrypt takes back. It names its key.

AWS publishes no format for keys in custom key stores. This one, version 1, is:

    3 bytes   "hsm"
    1 byte    the version
    1 byte    the length of what follows
    n bytes   the ARN of the key
    4 bytes   CRC-32 of all that, so that a blob that was damaged is not taken for another key's
    12 bytes  the IV
    m bytes   the ciphertext and, behind it, the 16 bytes of the tag

The head (all before the IV) and the encryption context are AES-GCM's additional data: a ciphertext belongs to
its key even where two keys have the same material, as in two clusters made from one backup.
"""

import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

from hsmstore.domain.errors import InvalidCiphertextException
from hsmstore.domain.tokenkeys import Sealed

_MAGIC: Final = b"hsm"
_VERSION: Final = 1
_PREFIX: Final = _MAGIC + bytes([_VERSION])
_CHECKSUM: Final = 4  # bytes
_IV: Final = 12
_TAG: Final = 16

ARN_MAX: Final = 255
"""Bytes; an ARN of a key has about 75."""


class Blob(NamedTuple):
    """A ciphertext blob, taken apart; `head` is what is bound to the ciphertext."""

    arn: str
    head: bytes
    sealed: Sealed


def head_of(arn: str) -> bytes:
    """Return the head of every blob that the key encrypts.

    Raises:
        ValueError: the ARN is no ASCII, or too long.

    """
    name = arn.encode("ascii")
    if not 1 <= len(name) <= ARN_MAX:
        raise ValueError(f"an ARN of {len(name)} bytes")
    named = _PREFIX + bytes([len(name)]) + name
    return named + _checksum(named)


def pack(head: bytes, sealed: Sealed) -> bytes:
    """Return the blob."""
    return head + sealed.iv + sealed.ciphertext


def unpack(blob: bytes) -> Blob:
    """Take a blob apart.

    Raises:
        InvalidCiphertextException: it was not made here, or has been damaged; recorded, and without a text.

    """
    start = len(_PREFIX) + 1
    if len(blob) < start or not blob.startswith(_PREFIX):
        raise InvalidCiphertextException().elsewhere()
    named = start + blob[start - 1]
    end = named + _CHECKSUM
    if blob[named:end] != _checksum(blob[:named]) or len(blob) <= end + _IV + _TAG:
        raise InvalidCiphertextException  # KMS encrypts no empty plaintext
    try:
        arn = blob[start:named].decode("ascii")
    except UnicodeDecodeError as error:
        raise InvalidCiphertextException from error
    return Blob(arn, blob[:end], Sealed(blob[end : end + _IV], blob[end + _IV :]))


def additional_data(head: bytes, context: Mapping[str, str] | None) -> bytes:
    """Return what is bound to a ciphertext: its blob's head and the encryption context.

    The pairs stand in the order of their keys' UTF-8, each key and value behind its length in four bytes. An
    empty context is the same as none.
    """
    pairs = sorted((key.encode(), value.encode()) for key, value in (context or {}).items())
    return head + b"".join(_counted(key) + _counted(value) for key, value in pairs)


def _counted(octets: bytes) -> bytes:
    return len(octets).to_bytes(4) + octets


def _checksum(octets: bytes) -> bytes:
    return zlib.crc32(octets).to_bytes(_CHECKSUM)
