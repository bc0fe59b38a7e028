"""Documents that somebody has changed, from a seed: the same seed gives the same ones."""

import random  # noqa: TID251 - seeded, so that a failure can be replayed
from collections.abc import Callable, Iterator
from typing import Final

from hsmstore.attestation.minting import TAG_SIGN1


def mutants(original: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` documents that differ from `original`, and not in the tag alone, which nobody signs."""
    source = random.Random(seed)
    untagged = original.removeprefix(TAG_SIGN1)
    made = 0
    while made < count:
        mutant = source.choice(_WAYS)(source, original)
        if mutant and mutant.removeprefix(TAG_SIGN1) != untagged:
            made += 1
            yield mutant


def _flipped(source: random.Random, original: bytes) -> bytes:
    """Flip a bit or a few."""
    changed = bytearray(original)
    for _ in range(source.choice([1, 1, 1, 2, 8])):
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(8)
    return bytes(changed)


def _spliced(source: random.Random, original: bytes) -> bytes:
    """Remove, double or replace a piece."""
    start = source.randrange(len(original))
    end = start + int(source.expovariate(1 / 20))
    piece = source.choice([b"", original[start:end] * 2, source.randbytes(source.randint(0, 9))])
    return original[:start] + piece + original[end:]


def _cut(source: random.Random, original: bytes) -> bytes:
    return original[: source.randrange(len(original))]


def _longer(source: random.Random, original: bytes) -> bytes:
    return original + source.randbytes(source.randint(1, 30))


def _swapped(source: random.Random, original: bytes) -> bytes:
    """Let two pieces change places."""
    a, b, c = sorted(source.sample(range(len(original)), 3))
    return original[:a] + original[b:c] + original[a:b] + original[c:]


def _one_byte(source: random.Random, original: bytes) -> bytes:
    """Set a byte to a value that means something in CBOR or DER."""
    at = source.randrange(len(original))
    return original[:at] + bytes([source.choice(_TELLING)]) + original[at + 1 :]


_TELLING: Final = (
    0x00,
    0x01,
    0x18,
    0x1B,
    0x30,
    0x40,
    0x5B,
    0x5F,
    0x80,
    0x9F,
    0xA0,
    0xBF,
    0xD2,
    0xF5,
    0xF6,
    0xFF,
)
_WAYS: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (
    *[_flipped] * 3,
    *[_spliced, _one_byte] * 2,
    _cut,
    _longer,
    _swapped,
)
