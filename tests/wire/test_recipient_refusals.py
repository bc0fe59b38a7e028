"""A Recipient: to whom it is refused, and in which order."""

import base64
import random  # noqa: TID251 - seeded, so that a failure can be replayed
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from hsmstore.attestation.broken import KINDS, broken
from hsmstore.attestation.minting import Claims, Module
from hsmstore.attestation.pki import ROOT_FILE, Authority, save_root
from hsmstore.domain.attestation import MEANINGS
from hsmstore.domain.errors import ThrottlingException
from tests.attestation.conftest import Recipient
from tests.attestation.mutating import mutants
from tests.server import Server, running
from tests.wire.enclave import ALGORITHM, attack, minted, now, refused, sealed
from tests.wire.failing import Played
from tests.wire.fuzzing import new_seed
from tests.wire.raw import resident
from tests.wire.refusals import read, refusal

SHORT, LONG = 1_000, 100_000
GROWTH_MAX = 32 * 1024 * 1024


# What is refused.


@pytest.mark.inferred(
    reason="AWS answers ValidationException to a broken document; its texts are not published."
)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "empty"])
@pytest.mark.sqlite
def test_broken_documents(trusting: Server, root: Authority, recipient: Recipient, kind: str) -> None:
    """A document that is wrong in one way is a ValidationException that names the check, and no more."""
    answer = refused(trusting, broken(kind, root, recipient.spki, now(trusting)))
    check = KINDS[kind].check
    text = f"it did not pass the check {check}, by which {MEANINGS[check]}."
    assert answer == (400, "ValidationException", f"The attestation document is not valid: {text}")


@pytest.mark.aws_recorded
@pytest.mark.parametrize("rubbish", [b"x", bytes(4096), random.Random(1).randbytes(5000)])
@pytest.mark.sqlite
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
        document = minted(server, root, recipient)
        assert sealed(server, document)
        shown = server.manage("POST", "/clock/advance", {"Seconds": 4 * 3600})[1]
        assert "did not pass the check validity" in refused(server, document).message
        later = Module(root, shown["Now"]).attest(Claims(public_key=recipient.spki), shown["Now"])
        assert sealed(server, later)


# Nonsense, in numbers.


@pytest.mark.endurance
@pytest.mark.aws_recorded
@pytest.mark.sqlite
def test_mutated_documents(
    trusting: Server, root: Authority, recipient: Recipient, *, endurance: bool
) -> None:
    """No document that somebody has changed is taken; none makes a 5xx, a hang, or memory grow."""
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201 - what replays a failure
    count = LONG if endurance else SHORT
    original = minted(trusting, root, recipient)
    attack(trusting, mutants(original, seed, 200))
    before = resident(trusting)
    answers = attack(trusting, mutants(original, seed + 1, count))
    assert resident(trusting) - before < GROWTH_MAX
    assert answers.total() == count
    assert {(status, code) for status, code, _ in answers} == {(400, "ValidationException")}, answers
    assert {check for _, _, check in answers} >= {"encoding", "fields", "signature"}, answers
    assert sealed(trusting, original)


@pytest.mark.simulator_only(reason="AWS's limits are by account and Region; here it is this machine's.")
@pytest.mark.sqlite
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
