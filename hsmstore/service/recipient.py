"""`Recipient`: answers that only a Nitro enclave, or an instance with a NitroTPM, can open.

An operation that takes one looks at its own shape and then leaves the rest to `answer_for`, which verifies
the document before any key or key store is looked at: the order of refusals is shape, document, state, HSM.

AWS documents the type of these refusals, ValidationException; the texts are ours.
"""

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import msgspec

from hsmstore.domain.attestation import (
    MEANINGS,
    AttestationBusy,
    AttestationRefused,
    Attested,
    NothingTrusted,
)
from hsmstore.domain.errors import ThrottlingException, ValidationException
from hsmstore.service.shapes import Request, Response, text
from hsmstore.service.world import Call, World

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=Response)


class KeyEncryptionMechanism(StrEnum):
    """`KeyEncryptionMechanism` of the service model."""

    RSAES_OAEP_SHA_256 = "RSAES_OAEP_SHA_256"


class RecipientInfo(Request, frozen=True):
    """`RecipientInfo`: to whom the answer is to be encrypted. The model requires neither, KMS both."""

    key_encryption_algorithm: KeyEncryptionMechanism | None = None
    attestation_document: Annotated[bytes, text(1, 262144)] | None = None


def answer_for(
    recipient: RecipientInfo,
    serve: Callable[[Any, Call, World], Answer],
    request: Request,
    call: Call,
    world: World,
) -> Answer:
    """Answer a request whose `recipient` this is: what `serve` would say in `plaintext` is sealed.

    There is no member Plaintext then, since AWS's C SDK stumbles over a null.

    Raises:
        ValidationException, ThrottlingException: as `attested_recipient`, before anything else.

    """
    attested = call.attested or attested_recipient(recipient, world)
    call.recording.add({"recipient": _recorded(attested)})
    answer: Any = serve(msgspec.structs.replace(request, recipient=None), call, world)
    sealed = seal_for(attested, answer.plaintext, world)
    changed: Answer = msgspec.structs.replace(answer, plaintext=None, ciphertext_for_recipient=sealed)
    return changed


def _recorded(attested: Attested) -> dict[str, str]:
    """Return what the trail tells of an attested recipient (KMS Developer Guide, Nitro Enclaves)."""
    image = attested.pcrs.get(0)
    digest = {} if image is None else {"attestationDocumentEnclaveImageDigest": image.hex()}
    return {"attestationDocumentModuleId": attested.module_id, **digest}


def attested_recipient(recipient: RecipientInfo, world: World) -> Attested:
    """Return what the recipient's document attests now; `world.clock` says when that is.

    Raises:
        ValidationException: a member is missing, or the document fails a check; or this server trusts no
            root, and the text says how to name one.
        ThrottlingException: too many documents wait to be verified.

    """
    if recipient.key_encryption_algorithm is None:
        raise ValidationException("Recipient.KeyEncryptionAlgorithm is required.")
    if recipient.attestation_document is None:
        raise ValidationException("Recipient.AttestationDocument is required.")
    try:
        attested = world.attestation.verify(recipient.attestation_document, world.clock.now())
    except NothingTrusted as error:
        raise ValidationException(_NOTHING_TRUSTED) from error
    except AttestationBusy as error:
        raise ThrottlingException from error
    except AttestationRefused as error:
        raise _invalid(error) from error
    log.debug("recipient %s, vouched for by %s", attested.module_id, attested.root)
    return attested


def seal_for(attested: Attested, plaintext: bytes, world: World) -> bytes:
    """Return `CiphertextForRecipient`: at most 6,144 bytes, and 4,573 for 4,096 of plaintext under RSA-2048.

    Raises:
        ValidationException: nothing can be encrypted to the attested key.

    """
    try:
        return world.attestation.seal(attested.public_key, plaintext)
    except AttestationRefused as error:
        raise _invalid(error) from error


_NOTHING_TRUSTED: Final = (
    "Recipient needs a root that attestation documents are verified against, and this server trusts none. "
    "Start it with --attestation-root aws for documents of AWS Nitro, or with --attestation-root FILE for "
    "those of a test root, which `hsmstore attest init` makes."
)


def _invalid(error: AttestationRefused) -> ValidationException:
    return ValidationException(
        f"The attestation document is not valid: it did not pass the check {error.check}, by which "
        f"{MEANINGS[error.check]}.",
        internal=error.detail,
    )
