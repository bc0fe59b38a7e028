"""The tree that `attest inspect` shows: of whatever can be read, whether it is valid or not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.attestation.broken import KINDS, broken
from hsmstore.attestation.cbor import encode
from hsmstore.attestation.minting import PROTECTED
from hsmstore.attestation.pki import Authority
from hsmstore.attestation.tree import lines, tree
from hsmstore.domain.attestation import AttestationRefused, Check
from tests.attestation.conftest import NOW, RECORDED, Recipient

REAL = (RECORDED / "real_debug_rsa2048_2024-01-24.bin").read_bytes()
_FORM = {Check.SIZE, Check.ENCODING, Check.ENVELOPE, Check.ALGORITHM}
WITHOUT_FORM = {name: kind for name, kind in KINDS.items() if kind.check in _FORM or name == "not a map"}

_NAMES = st.sampled_from(
    ["timestamp", "pcrs", "nitrotpm_pcrs", "certificate", "cabundle", "public_key", "nonce", "x"]
)
_SCALARS = st.none() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=50) | st.text(max_size=9)
_VALUES = (
    _SCALARS
    | st.lists(_SCALARS, max_size=4)
    | st.dictionaries(st.integers(-1, 40) | st.text(max_size=3), _SCALARS, max_size=4)
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=8))
def test_any_fields(fields: dict[str, object]) -> None:
    """Whatever stands in the fields, each of them is shown."""
    shown = tree(encode([PROTECTED, {}, encode(fields), bytes(96)]))
    assert [node.label for node in shown[1:-1]] == list(fields)
    assert all(isinstance(line, str) for line in lines(shown))


@pytest.mark.parametrize("kind", WITHOUT_FORM)
def test_without_form(kind: str, root: Authority, recipient: Recipient) -> None:
    """What has no form that could be shown is refused by its check."""
    with pytest.raises(AttestationRefused) as refused:
        tree(broken(kind, root, recipient.spki, NOW))
    assert refused.value.check is KINDS[kind].check


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WITHOUT_FORM])
def test_wrong(kind: str, root: Authority, recipient: Recipient) -> None:
    """Every other broken document is shown, with all its fields."""
    labels = [node.label for node in tree(broken(kind, root, recipient.spki, NOW))]
    assert len(labels) in {10, 11, 12}


def test_a_real_document() -> None:
    """Below the certificates stand their names, times and fingerprints; a PCR is shown in full."""
    (certificate,) = [node for node in tree(REAL) if node.label == "certificate"]
    names = {child.label: child.value for child in certificate.children}
    assert names["subject"] == "i-0e4fe5de7ee5abe78-enc018d3cadd7d66279.us-east-2.aws"
    assert names["valid"] == "2024-01-24 18:14:14+00:00 to 2024-01-24 21:14:17+00:00"
    assert len(names["SHA-256"]) == 64
    shown = "\n".join(lines(tree(REAL)))
    assert "  PCR4 (id of the parent instance): 1cc1521ffd" in shown
