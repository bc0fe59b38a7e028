"""SoftHSM2's token.object, read just far enough to tell a whole one from one that a kill has cut short.

The file is a generation number of eight bytes, then the token's attributes, in order of their types: type,
kind (2: a number, 3: bytes, after their length), value. kmsuser's PIN is the last of them, and the flags
before it say whether it belongs there: a token that was initialised anew has neither, and is whole.
"""

import struct
from collections.abc import Iterator
from typing import Final

import pkcs11

_NUMBER: Final = struct.Struct(">Q")
_HEAD: Final = struct.Struct(">QQQ")  # type, kind, and the number itself or the length of the bytes
_BYTES: Final = 3
_FLAGS, _SO_PIN, _USER_PIN = 0x8000534B, 0x8000534C, 0x8000534D


def is_whole(content: bytes) -> bool:
    """Tell whether nothing is missing at the file's end."""
    try:
        attributes = dict(_attributes(content))
    except struct.error:
        return False
    wants_pin = attributes.get(_FLAGS, 0) & pkcs11.TokenFlag.USER_PIN_INITIALIZED
    return _SO_PIN in attributes and (not wants_pin or _USER_PIN in attributes)


def _attributes(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield each attribute's type, with the number itself or the length of the bytes.

    Raises:
        struct.error: the file ends within one.

    """
    at = _NUMBER.size
    while at < len(content):
        kind_of, kind, number = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        yield kind_of, number
        if kind == _BYTES:
            struct.unpack_from(f"{min(number, len(content))}x", content, at)
            at += number
