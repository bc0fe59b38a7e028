"""An enclave as the tests of the wire play one: its documents, and what it sends and gets."""

import base64
import http.client
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hsmstore.attestation.minting import Claims, Module
from hsmstore.attestation.pki import Authority
from tests.attestation.conftest import Recipient
from tests.server import Server
from tests.wire.raw import CONTENT_TYPE, TARGET
from tests.wire.refusals import Refusal, refusal

ALGORITHM = "RSAES_OAEP_SHA_256"
IMAGE = bytes(range(48))


def now(server: Server) -> float:
    """Return what the server's clock shows: the machine's may have been set since it started."""
    shown: float = server.manage("GET", "/clock")[1]["Now"]
    return shown


def minted(server: Server, root: Authority, recipient: Recipient, **claims: Any) -> bytes:
    """Make a document that is valid now."""
    moment = now(server)
    return Module(root, moment).attest(Claims(public_key=recipient.spki, pcrs={0: IMAGE}, **claims), moment)


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
        check = answer.get("message", "").partition("did not pass the check ")[2].partition(",")[0]
        answers[response.status, answer.get("__type", ""), check] += 1
    connection.close()
    return answers
