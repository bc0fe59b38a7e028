"""Bodies that no client would send, from a seed: the same seed gives the same bodies."""

import json
import random  # noqa: TID251 - seeded, so that a failure can be replayed
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from tests.wire.model import NAMES, every_member, example

# A hostile body may be valid, too. These change nothing that another request would notice.
_HARMLESS: Final = ("GenerateRandom", "DescribeCustomKeyStores")

_SCALARS: Final = (None, True, False, 0, 1, -1, 1024, 1025, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, 1e300)
_STRINGS: Final = (
    "",
    "x",
    "\0",
    "\n",
    "\u0100",
    "\U0001f511",
    "\ufeff",
    "cks-0",
    "x" * 65,
    "x" * 5001,
    "%s",
    "{}",
)
_ALPHABET: Final = b'{}[]",:\\/0123456789eE+-.ntfu \t\n\x00\x7f\x80\xff'


class Fuzzed(NamedTuple):
    """A request to send: the operation, and its body."""

    operation: str
    body: bytes


def new_seed() -> int:
    """Return a seed that was never used."""
    return random.SystemRandom().randrange(2**32)


def fuzzed(seed: int, count: int) -> Iterator[Fuzzed]:
    """Yield `count` requests."""
    source = random.Random(seed)
    for _ in range(count):
        operation = source.choice(NAMES)
        yield Fuzzed(operation, source.choice(_MAKERS)(source, operation))


def _members(operation: str) -> dict[str, Any]:
    """Return a request with every member; only a harmless one is valid as it stands."""
    members = {
        str(member.path[0]): example(member.shape)
        for member in every_member()
        if member.operation == operation and len(member.path) == 1
    }
    return members if operation in _HARMLESS else {**members, "CustomKeyStoreId": "cks-0"}


def _changed_bytes(source: random.Random, operation: str) -> bytes:
    """Return a valid body with some bytes replaced, removed, doubled, or with its end cut off."""
    body = bytearray(json.dumps(_members(operation)).encode())
    for _ in range(source.randint(1, 8)):
        at = source.randrange(len(body) + 1)
        piece = bytes(source.choices(_ALPHABET, k=source.randint(0, 4)))
        body[at : at + source.randint(0, 3)] = piece
    return bytes(body[: source.randint(1, len(body))] if source.random() < 0.2 else body)


def _changed_values(source: random.Random, operation: str) -> bytes:
    """Return a valid body some of whose members have another value, or are missing, or stand twice."""
    members = _members(operation)
    pairs = [
        (name, _json(source, 3) if source.random() < 0.4 else value)
        for name, value in members.items()
        if source.random() < 0.7
    ]
    source.shuffle(pairs)
    pairs += source.choices(pairs, k=source.randint(0, 2)) if pairs else []
    return ("{" + ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs) + "}").encode()


def _structure(source: random.Random, _: str) -> bytes:
    """Return any JSON, written as UTF-8 or in escapes."""
    return json.dumps(_json(source, 6), ensure_ascii=source.random() < 0.5).encode()


def _noise(source: random.Random, _: str) -> bytes:
    """Return random bytes, of all values or of those that JSON is made of."""
    length = int(source.expovariate(1 / 100))
    return source.randbytes(length) if source.random() < 0.5 else bytes(source.choices(_ALPHABET, k=length))


def _nested(source: random.Random, _: str) -> bytes:
    """Return JSON that is deeply nested and may not be closed."""
    depth = int(10 ** source.uniform(0, 4))
    opening, closing = source.choice([(b"[", b"]"), (b'{"Recipient":', b"}"), (b'{"NumberOfBytes":[', b"]}")])
    return opening * depth + source.choice([b"", b"1"]) + closing * source.choice([0, depth - 1, depth])


_MAKERS: Final[tuple[Callable[[random.Random, str], bytes], ...]] = (
    *[_changed_bytes, _changed_values] * 3,
    *[_structure, _noise] * 2,
    _nested,
)


def _json(source: random.Random, depth: int) -> Any:
    """Return a JSON value whose members often have the names of real ones."""
    kind = source.random()
    if depth == 0 or kind < 0.3:
        return source.choice(_SCALARS)
    if kind < 0.6:
        return source.choice(_STRINGS)
    inner = [_json(source, depth - 1) for _ in range(source.randint(0, 4))]
    if kind < 0.75:
        return inner
    return {source.choice(_NAMES): value for value in inner}


_NAMES: Final = sorted(
    {str(member.path[-1]) for member in every_member()} | {"", "X", "__type", "numberOfBytes"}
)
