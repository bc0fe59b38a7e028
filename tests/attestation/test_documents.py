"""Which documents are taken and which are not, and by which check."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha384
from typing import Any

import pytest
from cryptography import x509

from hsmstore.attestation.broken import KINDS, broken
from hsmstore.attestation.brokenkeys import modulus, spki
from hsmstore.attestation.document import open_sign1, read_payload
from hsmstore.attestation.minting import Claims, Draft, Module, measured
from hsmstore.attestation.pki import Authority, new_root
from hsmstore.attestation.roots import aws_root
from hsmstore.attestation.verifying import verify
from hsmstore.domain.attestation import AttestationRefused, Attested, Check, Family
from tests.attestation.conftest import NOW, RECORDED, Mint, Recipient

REAL = (RECORDED / "real_debug_rsa2048_2024-01-24.bin").read_bytes()
REAL_TIME = datetime(2024, 1, 24, 18, 14, 25, 635_000, UTC).timestamp()
AWS = frozenset([aws_root()])
HOURS = 3600


def refused(document: bytes, root: bytes, now: float = NOW) -> AttestationRefused:
    """Return the refusal of a document."""
    with pytest.raises(AttestationRefused) as refusal:
        verify(document, frozenset([root]), now)
    return refusal.value


def taken(document: bytes, root: Authority, now: float = NOW) -> Attested:
    """Return what a document attests."""
    return verify(document, frozenset([root.der]), now)


# A real one.


def test_a_real_document() -> None:
    """AWS's own document is taken at its time, under AWS's root."""
    attested = verify(REAL, AWS, REAL_TIME)
    assert attested.root == "aws.nitro-enclaves"
    assert attested.module_id == "i-0e4fe5de7ee5abe78-enc018d3cadd7d66279"
    assert attested.timestamp == round(REAL_TIME * 1000)
    assert attested.family is Family.ENCLAVE
    assert [index for index, pcr in attested.pcrs.items() if any(pcr)] == [3, 4]
    assert attested.pcrs[4] == measured("i-0e4fe5de7ee5abe78")
    assert (len(attested.public_key), len(attested.user_data or b""), len(attested.nonce or b"")) == (
        294,
        13,
        6,
    )


@pytest.mark.parametrize(
    ("now", "detail"),
    [
        (NOW, "certificate 1 has expired"),
        (REAL_TIME + 3 * HOURS, "certificate 4 has expired"),
        (REAL_TIME - 60, "certificate 4 is not valid yet"),
        (0.0, "certificate 0 is not valid yet"),
        (4e9, "certificate 0 has expired"),
    ],
)
def test_a_real_document_at_another_time(now: float, detail: str) -> None:
    """It is refused before and after, and the first certificate that is not valid is named."""
    with pytest.raises(AttestationRefused) as refusal:
        verify(REAL, AWS, now)
    assert (refusal.value.check, refusal.value.detail) == (Check.VALIDITY, detail)


def test_a_real_document_under_a_test_root(root: Authority) -> None:
    """A test root vouches for nothing of AWS's, nor AWS's for what is made here."""
    assert refused(REAL, root.der, REAL_TIME).check is Check.ROOT


def test_a_test_document_under_the_real_root(mint: Mint, recipient: Recipient) -> None:
    """AWS's root vouches for nothing that is made here."""
    assert refused(mint(Claims(public_key=recipient.spki)), aws_root()).check is Check.ROOT


# What must be refused.


@pytest.mark.parametrize("kind", KINDS)
def test_broken(kind: str, root: Authority, recipient: Recipient) -> None:
    """A document that is wrong in one way fails the check that looks for it."""
    refusal = refused(broken(kind, root, recipient.spki, NOW), root.der)
    assert refusal.check is KINDS[kind].check, refusal.detail
    assert "<" not in refusal.detail


def test_every_check_can_fail() -> None:
    """Of every check there is a kind that fails it."""
    assert {kind.check for kind in KINDS.values()} == set(Check)


def test_the_root_expires_too(root: Authority, recipient: Recipient) -> None:
    """A root whose time is over vouches for nobody, though the rest were valid."""
    late = datetime(2049, 10, 28, 14, 28, 6, tzinfo=UTC).timestamp()
    document = Module(root, late - 60).attest(Claims(public_key=recipient.spki), late)
    assert refused(document, root.der, late).detail == "certificate 0 has expired"
    assert taken(document, root, late - 1).public_key == recipient.spki


def test_nobody_trusted(mint: Mint, recipient: Recipient) -> None:
    """Without a root nothing is taken."""
    with pytest.raises(AttestationRefused, match="root"):
        verify(mint(Claims(public_key=recipient.spki)), frozenset(), NOW)


# What must be taken.


def test_claims(module: Module, root: Authority, recipient: Recipient) -> None:
    """What a document claims is what it attests, in the layout of real ones."""
    claims = Claims(
        public_key=recipient.spki,
        pcrs={0: b"\1" * 48, 8: b"\2" * 32, 31: b"\3" * 64},
        role_arn="arn:aws:iam::123456789012:role/enclave",
        nonce=b"n" * 1024,
        user_data=b"",
    )
    attested = taken(module.attest(claims, NOW), root)
    assert attested.root == "hsmstore.nitro-enclaves"
    assert (attested.nonce, attested.user_data, attested.public_key) == (b"n" * 1024, b"", recipient.spki)
    assert list(attested.pcrs) == [*range(16), 31]
    assert attested.pcrs[0] == b"\1" * 48
    assert attested.pcrs[3] == sha384(bytes(48) + b"arn:aws:iam::123456789012:role/enclave").digest()
    assert attested.pcrs[4] == measured(module.instance_id)


def test_debug_mode(mint: Mint, root: Authority, recipient: Recipient) -> None:
    """In debug mode PCR0 to PCR2 are zero, and the others are not; the document is taken."""
    claims = Claims(public_key=recipient.spki, pcrs={0: b"\1" * 48, 8: b"\2" * 48}, debug=True)
    pcrs = taken(mint(claims), root).pcrs
    assert [index for index, pcr in pcrs.items() if any(pcr)] == [4, 8]


def test_layout(mint: Mint, recipient: Recipient) -> None:
    """A document has a real one's parts in a real one's order and size."""
    made = mint(Claims(public_key=recipient.spki, nonce=b"6bytes", user_data=b"thirteen byte"))
    assert made.startswith(REAL[:4])
    names = ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle", "public_key"]
    for blob in (made, REAL):
        places = [blob.index(name.encode()) for name in [*names, "user_data", "nonce"]]
        assert places == sorted(places)
    assert len(made) - len(REAL) < 300


def test_certificates_have_the_shape_of_real_ones(mint: Mint, recipient: Recipient) -> None:
    """Each of the five has a real one's extensions, key usage, pathLen and names, and lives as long."""
    made, real = (_certificates(blob) for blob in (mint(Claims(public_key=recipient.spki)), REAL))
    assert len(made) == len(real) == 5
    for ours, theirs in zip(made, real, strict=True):
        assert _extensions(ours) == _extensions(theirs)
        assert {name.oid for name in ours.subject} == {name.oid for name in theirs.subject}
        assert ours.signature_algorithm_oid == theirs.signature_algorithm_oid
        assert abs(_life(ours) - _life(theirs)) <= timedelta(days=1)
    assert made[0].subject != real[0].subject
    assert _life(made[4]) == _life(real[4]) == timedelta(hours=3, seconds=3)


def _certificates(blob: bytes) -> list[x509.Certificate]:
    """Return the certificates of a document, from root to leaf."""
    document = read_payload(open_sign1(blob).payload)
    return [x509.load_der_x509_certificate(der) for der in (*document.cabundle, document.certificate)]


def _extensions(certificate: x509.Certificate) -> dict[x509.ObjectIdentifier, object]:
    """Return what extensions there are, how critical, and what those say that name nobody."""
    said = (x509.BasicConstraints, x509.KeyUsage)
    return {
        extension.oid: (extension.critical, extension.value if isinstance(extension.value, said) else None)
        for extension in certificate.extensions
    }


def _life(certificate: x509.Certificate) -> timedelta:
    return certificate.not_valid_after_utc - certificate.not_valid_before_utc


@pytest.mark.parametrize(
    "claims",
    [{"tagged": True}, {"nonce": bytes(1024), "user_data": bytes(1024)}, {"family": Family.NITRO_TPM}],
    ids=["tag 18", "long fields", "NitroTPM"],
)
def test_taken(mint: Mint, root: Authority, recipient: Recipient, claims: dict[str, Any]) -> None:
    """Tag 18, 1,024 bytes of nonce, and documents of a NitroTPM are taken."""
    made = Claims(public_key=recipient.spki, **claims)
    assert taken(mint(made), root).family is made.family


@pytest.mark.parametrize("bits", [2048, 2056, 3072, 4096])
def test_key_sizes(mint: Mint, root: Authority, bits: int) -> None:
    """RSA keys of 2048 to 4096 bits are taken."""
    key = spki(modulus(bits))
    assert taken(mint(Claims(public_key=key)), root).public_key == key


def _absent(draft: Draft) -> None:
    del draft.fields["nonce"], draft.fields["user_data"]


def _far_timestamp(draft: Draft) -> None:
    draft.fields["timestamp"] = 2**63


def _first_timestamp(draft: Draft) -> None:
    draft.fields["timestamp"] = 1


def _extension(draft: Draft) -> None:
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
    for template in draft.templates:
        template.more.append((x509.UnrecognizedExtension(oid, b"\x05\x00"), False))


@pytest.mark.parametrize("change", [_absent, _far_timestamp, _first_timestamp, _extension])
def test_oddities_that_are_taken(
    change: Callable[[Draft], None], root: Authority, recipient: Recipient
) -> None:
    """Optional fields may be absent, any timestamp is believed, unknown extensions do no harm."""
    draft = Module(root, NOW).draft(Claims(public_key=recipient.spki), NOW)
    change(draft)
    assert taken(draft.document(root), root).public_key == recipient.spki


def test_two_roots(root: Authority, recipient: Recipient) -> None:
    """With several roots each vouches for its own, and is named."""
    other = new_root()
    document = Module(other, NOW).attest(Claims(public_key=recipient.spki), NOW)
    assert verify(document, frozenset([root.der, other.der, *AWS]), NOW).root == "hsmstore.nitro-enclaves"
    assert verify(REAL, frozenset([root.der, *AWS]), REAL_TIME).root == "aws.nitro-enclaves"


# What conditions of policies see.


def test_condition_keys_of_an_enclave(mint: Mint, root: Authority, recipient: Recipient) -> None:
    """PCRs are condition keys in lower-case hexadecimal, and PCR0 is the image's, too."""
    image = bytes(range(0xA0, 0xD0))
    keys = taken(mint(Claims(public_key=recipient.spki, pcrs={0: image})), root).condition_keys()
    assert (
        keys["kms:RecipientAttestation:ImageSha384"] == keys["kms:RecipientAttestation:PCR0"] == image.hex()
    )
    assert len(keys) == 17


def test_condition_keys_of_a_tpm(mint: Mint, root: Authority, recipient: Recipient) -> None:
    """A NitroTPM fills keys of its own, so that neither family satisfies the other's conditions."""
    claims = Claims(public_key=recipient.spki, family=Family.NITRO_TPM)
    assert {key.rstrip("0123456789") for key in taken(mint(claims), root).condition_keys()} == {
        "kms:RecipientAttestation:NitroTPMPCR"
    }
    without_image = Claims(public_key=recipient.spki, pcrs={})
    assert "kms:RecipientAttestation:ImageSha384" in taken(mint(without_image), root).condition_keys()
