"""Writing BER (X.690): a tag, a length, the contents."""

from typing import Final

INTEGER, OCTETS, OID, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x30, 0x31
BITS: Final = 0x03
CONTEXT: Final = 0x80
CONSTRUCTED_CONTEXT: Final = 0xA0

_SHORT_LENGTH_MAX: Final = 0x7F
_INDEFINITE: Final = 0x80
_END_OF_CONTENTS: Final = b"\0\0"


def definite(tag: int, *contents: bytes) -> bytes:
    """Return a value with its length before it, in the fewest octets: as DER has it."""
    content = b"".join(contents)
    length = len(content)
    if length <= _SHORT_LENGTH_MAX:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def indefinite(tag: int, *contents: bytes) -> bytes:
    """Return a constructed value that says at its end that it ends."""
    return bytes([tag, _INDEFINITE]) + b"".join(contents) + _END_OF_CONTENTS
