"""Nobody's change to a document goes unnoticed, and none costs more than a look."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.attestation.minting import Claims, Module
from hsmstore.attestation.pki import Authority, new_root
from hsmstore.attestation.verifying import verify
from hsmstore.domain.attestation import AttestationRefused
from tests.attestation.conftest import NOW, Mint, Recipient, new_recipient
from tests.attestation.mutating import mutants
from tests.wire.fuzzing import new_seed

SHORT, LONG = 2_000, 100_000
MEMORY_MAX = 1024 * 1024

ROOT = new_root()
KEY = new_recipient().spki
DOCUMENT = Module(ROOT, NOW).attest(Claims(public_key=KEY, nonce=b"nonce"), NOW)


@pytest.mark.endurance
def test_mutants(mint: Mint, root: Authority, recipient: Recipient, *, endurance: bool) -> None:
    """Of many changed documents none is taken, and none raises anything but the refusal."""
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201 - what replays a failure
    original = mint(Claims(public_key=recipient.spki))
    for number, mutant in enumerate(mutants(original, seed, LONG if endurance else SHORT)):
        assert _refused(mutant, root), number


def _refused(document: bytes, root: Authority) -> bool:
    try:
        verify(document, frozenset([root.der]), NOW)
    except AttestationRefused:
        return True
    return False


def test_memory(mint: Mint, root: Authority, recipient: Recipient) -> None:
    """A changed document, or the largest nonsense, takes little memory."""
    original = mint(Claims(public_key=recipient.spki))
    blobs = [*mutants(original, new_seed(), 100), b"\x81" * 262_144, b"\x84" + bytes(262_143)]
    tracemalloc.start()
    for blob in blobs:
        with pytest.raises(AttestationRefused):
            verify(blob, frozenset([root.der]), NOW)
    assert tracemalloc.get_traced_memory()[1] < MEMORY_MAX
    tracemalloc.stop()


@given(at=st.integers(0, len(DOCUMENT) - 1), change=st.binary(max_size=6), width=st.integers(0, 6))
def test_any_place_any_change(at: int, change: bytes, width: int) -> None:
    """Wherever a few bytes are replaced by others, the document is refused."""
    changed = DOCUMENT[:at] + change + DOCUMENT[at + width :]
    if changed.removeprefix(b"\xd2") == DOCUMENT:
        return
    with pytest.raises(AttestationRefused):
        verify(changed, frozenset([ROOT.der]), NOW)


@given(st.binary(max_size=300))
def test_anything(blob: bytes) -> None:
    """Any bytes are refused, as a document and as the payload of one that is well signed."""
    for document in (blob, _signed(blob)):
        with pytest.raises(AttestationRefused):
            verify(document, frozenset([ROOT.der]), NOW)


MODULE = Module(ROOT, NOW)


def _signed(payload: bytes) -> bytes:
    draft = MODULE.draft(Claims(public_key=KEY), NOW)
    draft.encode_fields = lambda _: payload
    return draft.document(ROOT)
