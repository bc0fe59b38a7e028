"""GenerateRandom with a Recipient: what only the enclave can open, and whom it is refused."""

import base64
import http.client
import json
import random  # noqa: TID251 - seeded, so that a failure can be replayed
import subprocess
import time  # noqa: TID251 - documents must be valid by the server's clock, which is the machine's
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hsmstore.attestation.broken import KINDS, broken
from hsmstore.attestation.minting import Claims, Module
from hsmstore.attestation.pki import ROOT_FILE, Authority, new_root, save_root
from hsmstore.domain.attestation import MEANINGS, Family
from hsmstore.domain.errors import ThrottlingException
from tests.attestation.cms import read_envelope
from tests.attestation.conftest import Recipient, new_recipient
from tests.attestation.mutating import mutants
from tests.server import Server, running
from tests.wire.failing import Played
from tests.wire.fuzzing import new_seed
from tests.wire.raw import CONTENT_TYPE, TARGET, resident
from tests.wire.refusals import Refusal, read, refusal

ALGORITHM = "RSAES_OAEP_SHA_256"
IMAGE = bytes(range(48))
SHORT, LONG = 1_000, 100_000
GROWTH_MAX = 32 * 1024 * 1024


@pytest.fixture(scope="module")
def root() -> Authority:
    """Return a test root."""
    return new_root()


@pytest.fixture(scope="module")
def recipient() -> Recipient:
    """Return the enclave's key pair."""
    return new_recipient()


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, root: Authority) -> Iterator[Server]:
    """Serve with the test root trusted."""
    place = tmp_path_factory.mktemp("recipient")
    save_root(place / "pki", root)
    trusted = str(place / "pki" / ROOT_FILE)
    with running(place / "data", "--profile", "instant", "--attestation-root", trusted) as server:
        yield server


@pytest.fixture(scope="module")
def store(trusting: Server) -> Played:
    """Return a connected key store."""
    played = Played(trusting, "recipient")
    played.works()
    return played


@pytest.fixture
def document(root: Authority, recipient: Recipient) -> bytes:
    """Return a document that is valid now."""
    return minted(root, recipient)


def minted(root: Authority, recipient: Recipient, **claims: Any) -> bytes:
    """Make a document that is valid now."""
    now = time.time()
    return Module(root, now).attest(Claims(public_key=recipient.spki, pcrs={0: IMAGE}, **claims), now)


def sealed(server: Server, document: bytes, count: int = 32, **members: Any) -> bytes:
    """Draw for a recipient; return what only it can open."""
    answer = server.kms().generate_random(
        NumberOfBytes=count,
        Recipient={"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document},
        **members,
    )
    assert answer.keys() == {"CiphertextForRecipient", "ResponseMetadata"}
    ciphertext: bytes = answer["CiphertextForRecipient"]
    return ciphertext


def refused(server: Server, document: bytes, **members: Any) -> Refusal:
    """Draw for a recipient that must be refused."""
    given = {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": document}
    return refusal(server.kms().generate_random, NumberOfBytes=32, Recipient=given, **members)


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
    answer = sealed(trusting, minted(root, recipient, **claims))
    assert len(read_envelope(answer).opened(recipient.key)) == 32


@pytest.mark.aws_documented
def test_nitro_tpm(trusting: Server, root: Authority, recipient: Recipient) -> None:
    """An instance with a NitroTPM is answered as an enclave is."""
    answer = sealed(trusting, minted(root, recipient, family=Family.NITRO_TPM))
    assert len(read_envelope(answer).opened(recipient.key)) == 32


@pytest.mark.inferred(reason="AWS documents RSA-2048; its SDK knows the two others.")
@pytest.mark.parametrize("bits", [3072, 4096])
def test_longer_keys(trusting: Server, root: Authority, bits: int) -> None:
    """Keys of RSA-3072 and RSA-4096 are encrypted to."""
    longer = new_recipient(bits)
    envelope = read_envelope(sealed(trusting, minted(root, longer)))
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
    assert "check that failed" in refusal(kms.generate_data_key, Recipient=bad, **asked).message
    kms.disable_key(KeyId=key)
    try:
        assert "check that failed" in refusal(kms.generate_data_key, Recipient=bad, **asked).message
        assert refusal(kms.generate_data_key, Recipient=good, **asked).code == "DisabledException"
    finally:
        kms.enable_key(KeyId=key)
    dry = refusal(kms.generate_data_key, Recipient=good, DryRun=True, **asked)
    assert dry.code == "DryRunOperationException"


# What is refused.


@pytest.mark.inferred(
    reason="AWS answers ValidationException to a broken document; its texts are not published."
)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "empty"])
def test_broken_documents(trusting: Server, root: Authority, recipient: Recipient, kind: str) -> None:
    """A document that is wrong in one way is a ValidationException that names the check, and no more."""
    answer = refused(trusting, broken(kind, root, recipient.spki, time.time()))
    check = KINDS[kind].check
    assert answer == (
        400,
        "ValidationException",
        f"The attestation document is not valid. The check that failed is {check}: {MEANINGS[check]}.",
    )


@pytest.mark.aws_recorded
@pytest.mark.parametrize("rubbish", [b"x", bytes(4096), random.Random(1).randbytes(5000)])
def test_rubbish(trusting: Server, rubbish: bytes) -> None:
    """Bytes that are no document are a ValidationException."""
    assert refused(trusting, rubbish)[:2] == (400, "ValidationException")


@pytest.mark.inferred(reason="The model has both optional; the documentation requires them.")
@pytest.mark.parametrize(
    ("recipient_info", "missing"),
    [
        ({}, "KeyEncryptionAlgorithm"),
        ({"AttestationDocument": b"x"}, "KeyEncryptionAlgorithm"),
        ({"KeyEncryptionAlgorithm": ALGORITHM}, "AttestationDocument"),
    ],
)
def test_missing_members(trusting: Server, recipient_info: dict[str, Any], missing: str) -> None:
    """A Recipient needs both of its members."""
    answer = refusal(trusting.kms().generate_random, NumberOfBytes=1, Recipient=recipient_info)
    assert answer == (400, "ValidationException", f"Recipient.{missing} is required.")


@pytest.mark.inferred(reason="The text of an enumeration, by analogy with other members of KMS.")
def test_other_algorithms(trusting: Server, document: bytes) -> None:
    """There is one way to encrypt the key."""
    given = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "AttestationDocument": document}
    answer = refusal(trusting.kms().generate_random, NumberOfBytes=1, Recipient=given)
    assert answer[:2] == (400, "ValidationException")
    assert answer.message.endswith(
        "at 'recipient.keyEncryptionAlgorithm' failed to satisfy constraint: "
        "Member must satisfy enum value set: [RSAES_OAEP_SHA_256]"
    )


@pytest.mark.inferred(
    reason="Validation comes before authorisation and state; recorded for authorisation only."
)
def test_order_of_refusals(trusting: Server, document: bytes) -> None:
    """Shape comes first, then the document, then the state of the key store, then its HSM."""
    played = Played(trusting, "order")
    where: dict[str, Any] = {"CustomKeyStoreId": played.store}
    assert refused(trusting, b"x", CustomKeyStoreId="cks-0").code == "ValidationException"
    assert refused(trusting, document, CustomKeyStoreId="cks-0").code == "CustomKeyStoreNotFoundException"
    assert refused(trusting, b"x", **where).code == "ValidationException"
    assert refused(trusting, document, **where).code == "CustomKeyStoreInvalidStateException"
    played.works()
    played.stop_hsms()
    assert refused(trusting, b"x", **where).code == "ValidationException"
    assert refused(trusting, document, **where)[:2] == (500, "KMSInternalException")
    played.start_hsms()
    assert sealed(trusting, document, **where)
    external = trusting.new_external_store("order-external")
    assert refused(trusting, document, CustomKeyStoreId=external).code == "UnsupportedOperationException"


@pytest.mark.inferred(reason="`NumberOfBytes is required.` is recorded; that it comes first is not.")
def test_number_of_bytes_first(trusting: Server) -> None:
    """A missing NumberOfBytes is found before the Recipient is looked at."""
    answer = refusal(trusting.kms().generate_random, Recipient={})
    assert answer.message == "NumberOfBytes is required."


@pytest.mark.simulator_only(reason="AWS trusts its own root; here one must be named.")
@pytest.mark.parametrize("in_store", [True, False])
def test_no_root(server: Server, document: bytes, *, in_store: bool) -> None:
    """A server that trusts no root says how to name one, and no plaintext leaks."""
    where = {"CustomKeyStoreId": "cks-0"} if in_store else {}
    answer = refused(server, document, **where)
    assert answer[:2] == (400, "ValidationException")
    assert "--attestation-root aws" in answer.message
    assert "hsmstore attest init" in answer.message


@pytest.mark.simulator_only(reason="AWS's clock cannot be set.")
def test_by_the_simulations_clock(tmp_path: Path, root: Authority, recipient: Recipient) -> None:
    """A document is valid by the clock of the simulation; three hours on it has expired."""
    save_root(tmp_path / "pki", root)
    options = ("--profile", "instant", "--attestation-root", str(tmp_path / "pki" / ROOT_FILE))
    with running(tmp_path / "data", *options) as server:
        document = minted(root, recipient)
        assert sealed(server, document)
        shown = server.manage("POST", "/clock/advance", {"Seconds": 4 * 3600})[1]
        assert "The check that failed is validity" in refused(server, document).message
        later = Module(root, shown["Now"]).attest(Claims(public_key=recipient.spki), shown["Now"])
        assert sealed(server, later)


# Nonsense, in numbers.


def attack(server: Server, documents: Iterator[bytes]) -> Counter[tuple[int, str, str]]:
    """Send documents over one connection; count the answers by status, exception and check."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    answers: Counter[tuple[int, str, str]] = Counter()
    for document in documents:
        given = {
            "KeyEncryptionAlgorithm": ALGORITHM,
            "AttestationDocument": base64.b64encode(document).decode(),
        }
        body = json.dumps({"NumberOfBytes": 8, "Recipient": given})
        connection.request("POST", "/", body, {"Content-Type": CONTENT_TYPE, "X-Amz-Target": TARGET})
        response = connection.getresponse()
        answer = json.loads(response.read())
        check = answer.get("message", "").partition("check that failed is ")[2].partition(":")[0]
        answers[response.status, answer.get("__type", ""), check] += 1
    connection.close()
    return answers


@pytest.mark.endurance
@pytest.mark.aws_recorded
def test_mutated_documents(
    trusting: Server, root: Authority, recipient: Recipient, *, endurance: bool
) -> None:
    """No document that somebody has changed is taken; none makes a 5xx, a hang, or memory grow."""
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201 - what replays a failure
    count = LONG if endurance else SHORT
    original = minted(root, recipient)
    attack(trusting, mutants(original, seed, 200))
    before = resident(trusting)
    answers = attack(trusting, mutants(original, seed + 1, count))
    assert resident(trusting) - before < GROWTH_MAX
    assert answers.total() == count
    assert {(status, code) for status, code, _ in answers} == {(400, "ValidationException")}, answers
    assert {check for _, _, check in answers} >= {"encoding", "fields", "signature"}, answers
    assert sealed(trusting, original)


@pytest.mark.simulator_only(reason="AWS's limits are by account and Region; here it is this machine's.")
def test_a_flood_is_throttled_or_served(trusting: Server, document: bytes) -> None:
    """Clients that come all at once are served, or told to come again as AWS tells it; nothing else."""
    given = {"KeyEncryptionAlgorithm": ALGORITHM, "AttestationDocument": base64.b64encode(document).decode()}
    body = {"NumberOfBytes": 8, "Recipient": given}
    with ThreadPoolExecutor(16) as clients:
        answers = [*clients.map(lambda _: trusting.call("GenerateRandom", body), range(400))]
    served = [answer for answer in answers if answer.status == HTTPStatus.OK]
    assert served
    for answer in answers:
        if answer not in served:
            assert read(answer) == (400, "ThrottlingException", ThrottlingException().message)
