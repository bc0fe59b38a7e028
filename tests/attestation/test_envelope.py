"""`CiphertextForRecipient`: KMS's shape to the byte, and everybody who must be able to open it can."""

import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hsmstore.attestation.envelope import UnfitKey, recipient_key, seal
from tests.attestation.cms import read_envelope
from tests.attestation.conftest import RECORDED, Recipient, new_recipient

EDGEBIT = (RECORDED / "edgebit_CiphertextForRecipient.ber").read_bytes()
EDGEBIT_KEY = (RECORDED / "edgebit_recipient_public_key.der").read_bytes()
SDK = (RECORDED / "awssdkc_CiphertextForRecipient_1.ber").read_bytes()
KEY, IV = bytes(range(32)), bytes(range(16))


@pytest.mark.parametrize("recorded", [EDGEBIT, SDK], ids=["2022", "2020"])
def test_recordings(recorded: bytes) -> None:
    """The strict reader takes what KMS has sent."""
    envelope = read_envelope(recorded)
    assert (len(envelope.key_id), len(envelope.wrapped_key), envelope.segments) == (32, 256, [48])


def test_the_recorded_key_is_named_by_its_hash() -> None:
    """The recipient is named by the SHA-256 of its whole SubjectPublicKeyInfo."""
    assert read_envelope(EDGEBIT).key_id == sha256(EDGEBIT_KEY).digest()


@pytest.mark.parametrize("recorded", [EDGEBIT, SDK], ids=["2022", "2020"])
def test_same_bytes_but_for_the_secrets(recorded: bytes, recipient: Recipient) -> None:
    """Ours differs from KMS's in the key's name, the wrapped key, the IV and the content; in nothing else."""
    ours = seal(recipient.spki, bytes(32), KEY, IV)
    for blob in (ours, recorded):
        for secret in read_envelope(blob)[:4]:
            assert blob.count(secret) == 1
    assert _frame(ours) == _frame(recorded)


def _frame(blob: bytes) -> bytes:
    for secret in read_envelope(blob)[:4]:
        blob = blob.replace(secret, bytes(len(secret)))
    return blob


@pytest.mark.parametrize(
    ("length", "size"),
    [
        (0, 461),
        (1, 461),
        (15, 461),
        (16, 477),
        (32, 493),
        (1024, None),
        (4096, 4573),
        (999, None),
        (984, None),
    ],
)
def test_size(recipient: Recipient, length: int, size: int | None) -> None:
    """The sizes are KMS's, and the strict reader opens what was sealed."""
    plaintext = bytes(n % 251 for n in range(length))
    sealed = seal(recipient.spki, plaintext, KEY, IV)
    envelope = read_envelope(sealed)
    assert envelope.opened(recipient.key) == plaintext
    assert envelope.key_id == sha256(recipient.spki).digest()
    assert all(segment == 1000 for segment in envelope.segments[:-1])
    assert 0 < envelope.segments[-1] <= 1000
    assert size is None or len(sealed) == size
    assert len(sealed) <= 6144


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
@pytest.mark.parametrize("length", [1, 32, 4096])
def test_openssl_opens_it(tmp_path: Path, bits: int, length: int) -> None:
    """`openssl cms -decrypt` opens it with the private key alone."""
    key, spki = new_recipient(bits)
    pem = tmp_path / "key.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    plaintext = bytes(n % 253 for n in range(length))
    sealed = tmp_path / "sealed.ber"
    sealed.write_bytes(seal(spki, plaintext, KEY, IV))
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", str(pem)]
    command += ["-in", str(sealed), "-binary"]
    assert subprocess.run(command, capture_output=True, check=True).stdout == plaintext
    assert read_envelope(sealed.read_bytes()).opened(key) == plaintext


@pytest.mark.parametrize("key", [None, b"", b"x", EDGEBIT_KEY + b"\0", EDGEBIT_KEY[:-1]])
def test_unfit_keys(key: bytes | None) -> None:
    """What is no SubjectPublicKeyInfo is refused; tests of documents have the others."""
    with pytest.raises(UnfitKey):
        recipient_key(key)
    with pytest.raises(UnfitKey):
        seal(key or b"", b"x", KEY, IV)
