"""Strict CBOR (RFC 8949): as much of it as an attestation document is made of, each value written in one way.

Read are integers, byte strings, text, arrays, maps with integers or text as keys, and null; of definite
length, in the shortest form, without a key twice, and to the last byte. Whatever else CBOR has (tags, floats,
booleans, indefinite lengths) no document of AWS has ever held, and every reader is a surface.
"""

from typing import Final

DEPTH_MAX: Final = 3
ITEMS_MAX: Final = 64  # in one array or map
COUNT_MAX: Final = 256  # in all

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)
_NULL: Final = 0xF6
_IMMEDIATE_MAX: Final = 23
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}


class NotCbor(ValueError):
    """Bytes that are no strict CBOR. The text names the offence and the offset."""


class Encoded(bytes):
    """Bytes that `encode` takes as they are, for what no honest writer would write."""

    __slots__ = ()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self._count = 0

    def fail(self, what: str) -> NotCbor:
        return NotCbor(f"{what} at offset {self.at}")

    def value(self, depth: int) -> object:
        self._count += 1
        if self._count > COUNT_MAX:
            raise self.fail(f"more than {COUNT_MAX} values")
        major, argument = self._head()
        if major == _ARRAY:
            return [self.value(inner) for inner in self._inside(argument, depth)]
        if major == _MAP:
            return self._map(argument, depth)
        return self._scalar(major, argument)

    def _scalar(self, major: int, argument: int) -> int | bytes | str | None:
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2:
                return self._take(argument)
            case 3:
                return self._text(argument)
            case _:
                return None

    def _head(self) -> tuple[int, int]:
        """Return the major type and its argument; null, the one value of type 7, has none."""
        initial = self._take(1)[0]
        major, low = initial >> 5, initial & 31
        if initial == _NULL:
            return major, 0
        if major > _MAP:
            raise self.fail("a tag" if major == _MAP + 1 else "a float or simple value")
        if low <= _IMMEDIATE_MAX:
            return major, low
        width = _WIDTHS.get(low)
        if width is None:
            raise self.fail("an indefinite length or a reserved one")
        argument = int.from_bytes(self._take(width), "big")
        if argument <= (_IMMEDIATE_MAX if width == 1 else (1 << (4 * width)) - 1):
            raise self.fail("a number not in its shortest form")
        return major, argument

    def _take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise self.fail("an end before the end of a value")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode()
        except UnicodeDecodeError:
            raise self.fail("text that is not UTF-8") from None

    def _inside(self, count: int, depth: int) -> list[int]:
        """Return the depth of each of `count` items; refuse before anything is made of them."""
        if depth >= DEPTH_MAX:
            raise self.fail(f"arrays and maps more than {DEPTH_MAX} deep")
        if count > ITEMS_MAX:
            raise self.fail(f"more than {ITEMS_MAX} items in an array or map")
        return [depth + 1] * count

    def _map(self, count: int, depth: int) -> dict[int | str, object]:
        found: dict[int | str, object] = {}
        for inner in self._inside(count, depth):
            key = self.value(inner)
            if not isinstance(key, int | str):
                raise self.fail("a key that is neither a number nor text")
            if key in found:
                raise self.fail("a key that stands twice")
            found[key] = self.value(inner)
        return found


def decode(data: bytes) -> object:
    """Return the one value that `data` encodes: int, bytes, str, list, dict or None.

    Raises:
        NotCbor: it is not strict CBOR, or not only that.

    """
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise reader.fail("more bytes after the value")
    return value


def encode(value: object) -> bytes:
    """Return the one strict encoding of a value that `decode` could return; a map keeps its order.

    Raises:
        TypeError: there is no encoding for it.

    """
    match value:
        case list():
            return head(_ARRAY, len(value)) + b"".join(map(encode, value))
        case dict():
            members = (encode(part) for member in value.items() for part in member)
            return head(_MAP, len(value)) + b"".join(members)
        case Encoded():
            return bytes(value)
        case _:
            return _scalar(value)


def _scalar(value: object) -> bytes:
    match value:
        case None:
            return bytes([_NULL])
        case int() if not isinstance(value, bool):
            return head(_UINT, value) if value >= 0 else head(_NEGATIVE, -1 - value)
        case bytes():
            return head(_BYTES, len(value)) + value
        case str():
            text = value.encode()
            return head(_TEXT, len(text)) + text
        case _:
            raise TypeError(f"no strict CBOR for {type(value).__name__}")


def head(major: int, argument: int) -> bytes:
    """Return the head of a value: its major type, and its argument in the shortest form."""
    if argument <= _IMMEDIATE_MAX:
        return bytes([major << 5 | argument])
    low, width = next((low, width) for low, width in _WIDTHS.items() if argument < 1 << (8 * width))
    return bytes([major << 5 | low]) + argument.to_bytes(width, "big")
