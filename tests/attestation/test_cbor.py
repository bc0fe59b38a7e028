"""The strict reader against its own writer, and against RFC 8949's examples of what it must not take."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.attestation.cbor import NotCbor, decode, encode

_SCALARS = st.none() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=300)
_KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=5)
_FLAT = _SCALARS | st.lists(_SCALARS, max_size=5) | st.dictionaries(_KEYS, _SCALARS, max_size=5)
_VALUES = _FLAT | st.lists(_FLAT, max_size=3) | st.dictionaries(_KEYS, _FLAT, max_size=3)


@given(_VALUES)
def test_round_trip(value: object) -> None:
    """What is written is read, and written again it is the same bytes."""
    written = encode(value)
    assert decode(written) == value
    assert encode(decode(written)) == written


@given(_VALUES, st.binary(min_size=1, max_size=3))
def test_nothing_may_follow(value: object, more: bytes) -> None:
    """A byte more or a byte less is refused."""
    written = encode(value)
    for other in (written + more, written[:-1]):
        with pytest.raises(NotCbor):
            decode(other)


@given(st.binary(max_size=60))
def test_one_way_to_write(data: bytes) -> None:
    """Whatever is read at all is read from the one way to write it."""
    try:
        value = decode(data)
    except NotCbor:
        return
    assert encode(value) == data


# RFC 8949, Appendix A: what is well-formed there and not taken here; then what is not well-formed at all.
NOT_TAKEN = (
    "c249010000000000000000 f90000 fb3ff199999999999a f97e00 f4 f5 f7 f0 f8ff c06474696d65"
    " d74401020304 5f42010243030405ff 7f657374726561646d696e67ff 9fff 9f018202039f0405ffff"
    " bf61610161629f0203ffff"
    " 1817 190017 1a00000017 1b0000000000000017 5800 590001 7800 9800 b800 1800 3800 3817 3900ff"
)
NOT_WELL_FORMED = "18 1b00000000 5c 60ff 61 8201 a1 a101 ff fc fd fe 1c 1d 1e 1f 3f 5f 9b 4200 62c328 a20000"


@pytest.mark.parametrize("hexadecimal", [*NOT_TAKEN.split(), *NOT_WELL_FORMED.split()])
def test_not_taken(hexadecimal: str) -> None:
    """Tags, floats, simple values, indefinite and overlong lengths, and what is broken, is refused."""
    with pytest.raises(NotCbor):
        decode(bytes.fromhex(hexadecimal))


@pytest.mark.parametrize(
    "data",
    [
        b"\x81" * 262_144,
        b"\xa1\x00" * 131_072,
        b"\x9b" + b"\xff" * 8,
        b"\x5b" + b"\xff" * 8,
        b"\x98\x40" + (b"\x98\x40" + b"\x80" * 64) * 64,
    ],
    ids=["nested arrays", "nested maps", "long array", "long bytes", "many"],
)
def test_bounded(data: bytes) -> None:
    """Nesting and counts that promise much are refused before memory is spent on them."""
    tracemalloc.start()
    with pytest.raises(NotCbor):
        decode(data)
    assert tracemalloc.get_traced_memory()[1] < 256 * 1024
    tracemalloc.stop()


def test_no_encoding_of_other_types() -> None:
    """Floats and booleans have no strict encoding."""
    for value in (1.5, True, {1}):
        with pytest.raises(TypeError):
            encode(value)
