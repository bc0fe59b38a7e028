"""A Recipient: what only the enclave can open."""

import base64
import json
import subprocess
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hsmstore.attestation.pki import Authority
from hsmstore.domain.attestation import Family
from hsmstore.domain.clock import ClockSetting
from hsmstore.storage.registry import SqlRegistry
from tests.attestation.cms import read_envelope
from tests.attestation.conftest import RECORDED, Recipient, new_recipient
from tests.server import Server, running
from tests.wire.enclave import ALGORITHM, minted, refused, sealed
from tests.wire.failing import Played
from tests.wire.refusals import refusal


@pytest.fixture(scope="module")
def store(trusting: Server) -> Played:
    """Return a connected key store."""
    played = Played(trusting, "recipient")
    played.works()
    return played


# What is answered.


@pytest.mark.aws_recorded
@pytest.mark.parametrize(("count", "size"), [(1, 461), (15, 461), (32, 493), (1024, None)])
@pytest.mark.parametrize("in_store", [True, False])
def test_sealed(
    store: Played, document: bytes, recipient: Recipient, count: int, *, size: int | None, in_store: bool
) -> None:
    """The answer is an envelope in KMS's own shape and size, which the enclave's key opens."""
    where: dict[str, Any] = {"CustomKeyStoreId": store.store} if in_store else {}
    ciphertext = sealed(store.server, document, count, **where)
    assert len(read_envelope(ciphertext).opened(recipient.key)) == count
    assert size is None or len(ciphertext) == size


@pytest.mark.aws_documented
def test_no_plaintext_member(trusting: Server, document: bytes) -> None:
    """There is no Plaintext in the answer, not even a null."""
    given = {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": base64.b64encode(document).decode()}
    answer = trusting.call("GenerateRandom", {"NumberOfBytes": 32, "Recipient": given})
    assert (answer.status, list(json.loads(answer.body))) == (200, ["CiphertextForRecipient"])


@pytest.mark.aws_documented
def test_openssl_opens_the_answer(
    trusting: Server, store: Played, document: bytes, recipient: Recipient, tmp_path: Path
) -> None:
    """`openssl cms -decrypt`, which AWS documents for NitroTPM, opens the answer as well."""
    ciphertext = sealed(trusting, document, 1000, CustomKeyStoreId=store.store)
    key = tmp_path / "key.pem"
    key.write_bytes(recipient.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-inkey", str(key), "-binary"]
    opened = subprocess.run(command, input=ciphertext, capture_output=True, check=True).stdout
    assert len(opened) == 1000
    assert opened == read_envelope(ciphertext).opened(recipient.key)


@pytest.mark.aws_recorded
def test_a_document_may_come_again(trusting: Server, document: bytes, recipient: Recipient) -> None:
    """The same document is taken again and again; each answer has a key, an IV and bytes of its own."""
    answers = [read_envelope(sealed(trusting, document)) for _ in range(5)]
    for secrets in zip(*[(e.wrapped_key, e.iv, e.opened(recipient.key)) for e in answers], strict=True):
        assert len(set(secrets)) == len(answers)


@pytest.mark.aws_recorded
@pytest.mark.parametrize(
    "claims",
    [{"debug": True}, {"tagged": True}, {"nonce": bytes(1024)}],
    ids=["debug mode", "tag 18", "long nonce"],
)
def test_taken(trusting: Server, root: Authority, recipient: Recipient, claims: dict[str, Any]) -> None:
    """Documents of debug mode, with COSE's tag, and with 1,024 bytes of nonce are taken."""
    answer = sealed(trusting, minted(trusting, root, recipient, **claims))
    assert len(read_envelope(answer).opened(recipient.key)) == 32


@pytest.mark.aws_documented
def test_nitro_tpm(trusting: Server, root: Authority, recipient: Recipient) -> None:
    """An instance with a NitroTPM is answered as an enclave is."""
    answer = sealed(trusting, minted(trusting, root, recipient, family=Family.NITRO_TPM))
    assert len(read_envelope(answer).opened(recipient.key)) == 32


@pytest.mark.inferred(reason="AWS documents RSA-2048; its SDK knows the two others.")
@pytest.mark.parametrize("bits", [3072, 4096])
def test_longer_keys(trusting: Server, root: Authority, bits: int) -> None:
    """Keys of RSA-3072 and RSA-4096 are encrypted to."""
    longer = new_recipient(bits)
    envelope = read_envelope(sealed(trusting, minted(trusting, root, longer)))
    assert len(envelope.wrapped_key) == bits // 8
    assert len(envelope.opened(longer.key)) == 32


# The other operations that take a Recipient.


@pytest.fixture(scope="module")
def key(store: Played) -> str:
    """Return a KMS key in the key store."""
    made = store.kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store.store)
    key_id: str = made["KeyMetadata"]["KeyId"]
    return key_id


@pytest.mark.aws_documented
def test_decrypt(store: Played, key: str, document: bytes, recipient: Recipient) -> None:
    """Decrypt gives the plaintext to the enclave alone; what else it answers stays."""
    plaintext = bytes(range(256)) * 16
    blob = store.kms.encrypt(KeyId=key, Plaintext=plaintext, EncryptionContext={"a": "b"})["CiphertextBlob"]
    given = {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document}
    answer = store.kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"}, Recipient=given)
    assert answer.keys() == {
        *("KeyId", "EncryptionAlgorithm", "CiphertextForRecipient", "ResponseMetadata"),
    }
    assert len(answer["CiphertextForRecipient"]) == 4573
    assert read_envelope(answer["CiphertextForRecipient"]).opened(recipient.key) == plaintext


@pytest.mark.aws_documented
@pytest.mark.parametrize("asked", [{"KeySpec": "AES_256"}, {"KeySpec": "AES_128"}, {"NumberOfBytes": 1024}])
def test_generate_data_key(
    store: Played, key: str, document: bytes, recipient: Recipient, asked: dict[str, Any]
) -> None:
    """GenerateDataKey seals the data key; CiphertextBlob is the same key, encrypted under the KMS key."""
    given = {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document}
    answer = store.kms.generate_data_key(KeyId=key, Recipient=given, **asked)
    assert answer.keys() == {"CiphertextBlob", "CiphertextForRecipient", "KeyId", "ResponseMetadata"}
    opened = read_envelope(answer["CiphertextForRecipient"]).opened(recipient.key)
    assert opened == store.kms.decrypt(CiphertextBlob=answer["CiphertextBlob"])["Plaintext"]


@pytest.mark.inferred(
    reason="Validation comes before authorisation and state; recorded for authorisation only."
)
def test_order_of_refusals_of_a_key(store: Played, key: str, document: bytes) -> None:
    """A missing member comes first, then the document, then the blob and the state of the key."""
    kms, good = store.kms, {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document}
    bad = {**good, "AttestationDocument": b"x"}
    assert refusal(kms.decrypt, CiphertextBlob=b"y", Recipient=bad).code == "ValidationException"
    assert refusal(kms.decrypt, CiphertextBlob=b"y", Recipient=good).code == "InvalidCiphertextException"
    assert refusal(kms.decrypt, Recipient=bad).message == "CiphertextBlob is required."
    neither = refusal(kms.generate_data_key, KeyId=key, Recipient=bad)
    assert neither.message == "Please specify either number of bytes or key spec."
    asked = {"KeyId": key, "KeySpec": "AES_256"}
    assert "did not pass the check" in refusal(kms.generate_data_key, Recipient=bad, **asked).message
    kms.disable_key(KeyId=key)
    try:
        assert "did not pass the check" in refusal(kms.generate_data_key, Recipient=bad, **asked).message
        assert refusal(kms.generate_data_key, Recipient=good, **asked).code == "DisabledException"
    finally:
        kms.enable_key(KeyId=key)
    dry = refusal(kms.generate_data_key, Recipient=good, DryRun=True, **asked)
    assert dry.code == "DryRunOperationException"


@pytest.mark.aws_recorded
def test_a_real_document(tmp_path: Path) -> None:
    """AWS's own document is taken where AWS's root is trusted, at the document's time; and refused now."""
    real = (RECORDED / "real_debug_rsa2048_2024-01-24.bin").read_bytes()
    with running(tmp_path / "data", "--profile", "instant", "--attestation-root", "aws") as server:
        assert "did not pass the check validity" in refused(server, real).message
        server.stop()
        _set_clock(server, datetime(2024, 1, 24, 18, 14, 30, tzinfo=UTC))
        server.start()
        envelope = read_envelope(sealed(server, real))
        assert envelope.key_id == sha256(_public_key(real)).digest()


def _set_clock(server: Server, moment: datetime) -> None:
    """Stop the clock of a server that is not running at a moment; on a running one it never goes back."""
    registry = SqlRegistry(server.registry_url)
    with registry.writing() as unit:
        unit.set_clock(ClockSetting(0.0, moment.timestamp(), 0.0))
    registry.close()


def _public_key(document: bytes) -> bytes:
    """Cut the public key out of a document: the field's name, a head of three bytes, 294 bytes."""
    at = document.index(b"public_key") + len(b"public_key") + 3
    return document[at : at + 294]
