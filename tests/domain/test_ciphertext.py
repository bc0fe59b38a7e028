"""The ciphertext blob comes apart as it was put together, and nothing else does."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hsmstore.domain.ciphertext import ARN_MAX, additional_data, head_of, pack, unpack
from hsmstore.domain.errors import InvalidCiphertextException
from hsmstore.domain.tokenkeys import Sealed

ARN = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BLOB = pack(head_of(ARN), Sealed(b"i" * 12, b"c" * 40))

arns = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=ARN_MAX)
seals = st.builds(Sealed, st.binary(min_size=12, max_size=12), st.binary(min_size=17, max_size=200))
contexts = st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5)


@given(arns, seals)
def test_what_is_packed_can_be_unpacked(arn: str, sealed: Sealed) -> None:
    """A blob names its key, and gives back the head, the IV and the ciphertext."""
    assert unpack(pack(head_of(arn), sealed)) == (arn, head_of(arn), sealed)


@given(st.binary(max_size=300))
def test_anything_else_is_refused(octets: bytes) -> None:
    """Arbitrary bytes are an InvalidCiphertextException, whose body has no text, and no other error."""
    with pytest.raises(InvalidCiphertextException) as refusal:
        unpack(octets)
    assert refusal.value.message is None


@given(st.binary(max_size=300))
def test_anything_behind_a_right_beginning_is_refused(octets: bytes) -> None:
    """The same where the first bytes are right."""
    with pytest.raises(InvalidCiphertextException):
        unpack(BLOB[:5] + octets)


@pytest.mark.parametrize("at", range(len(head_of(ARN))))
def test_a_damaged_head_is_refused(at: int) -> None:
    """Whatever a byte of the head becomes, the blob is not taken for another key's."""
    for octet in set(range(256)) - {BLOB[at]}:
        with pytest.raises(InvalidCiphertextException):
            unpack(BLOB[:at] + bytes([octet]) + BLOB[at + 1 :])


@pytest.mark.parametrize("length", range(len(head_of(ARN)) + 12 + 17))
def test_a_blob_cut_short_is_refused(length: int) -> None:
    """Less than one byte of ciphertext, with its tag, is no blob."""
    with pytest.raises(InvalidCiphertextException):
        unpack(BLOB[:length])


def test_the_overhead_is_about_that_of_kms() -> None:
    """A data key of 32 bytes gives 184 bytes in KMS, and no more here: clients have columns for it."""
    assert len(pack(head_of(ARN), Sealed(bytes(12), bytes(32 + 16)))) <= 184
    assert len(pack(head_of("x" * ARN_MAX), Sealed(bytes(12), bytes(4096 + 16)))) <= 6144


@pytest.mark.parametrize("arn", ["", "x" * (ARN_MAX + 1)])
def test_an_arn_that_is_none(arn: str) -> None:
    """What could not be written is not written."""
    with pytest.raises(ValueError, match="an ARN of"):
        head_of(arn)


@given(contexts)
def test_the_order_of_a_context_does_not_matter(context: dict[str, str]) -> None:
    """Two maps of the same pairs are the same context."""
    assert additional_data(b"head", dict(reversed(context.items()))) == additional_data(b"head", context)


@given(contexts, contexts)
def test_two_contexts_are_never_the_same(one: dict[str, str], other: dict[str, str]) -> None:
    """Whatever stands in keys and values, different pairs are different data."""
    assume(one != other)
    assert additional_data(b"head", one) != additional_data(b"head", other)


def test_contexts_that_would_run_together() -> None:
    """Nor do pairs whose text is the same when it is written one after the other."""
    alike = [{"a": "bc"}, {"ab": "c"}, {"abc": ""}, {"": "abc"}, {"a": "b", "c": ""}, {"A": "bc"}]
    assert len({additional_data(b"", context) for context in alike}) == len(alike)


def test_no_context() -> None:
    """An empty context is the same as none, and the head is bound in any case."""
    assert additional_data(head_of(ARN), {}) == additional_data(head_of(ARN), None) == head_of(ARN)
