"""What an attestation document says, by which check one is refused, and the port that knows.

The checks stand in the order in which they are made, which is the order of refusals: size, form, fields,
certificates, signature, key. AWS's list is "Verifying the root of trust" of the Nitro Enclaves User Guide
(attestation_process.md of aws-nitro-enclaves-nsm-api); what AWS leaves open is refused here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol


class Family(StrEnum):
    """Whose document it is, by the name of the map that its PCRs stand in."""

    ENCLAVE = "pcrs"
    NITRO_TPM = "nitrotpm_pcrs"


class Check(StrEnum):
    """What a document must pass, in this order."""

    SIZE = "size"
    ENCODING = "encoding"
    ENVELOPE = "envelope"
    ALGORITHM = "algorithm"
    FIELDS = "fields"
    CERTIFICATES = "certificates"
    ROOT = "root"
    VALIDITY = "validity"
    CHAIN = "chain"
    SIGNATURE = "signature"
    PUBLIC_KEY = "public-key"


MEANINGS: Final[Mapping[Check, str]] = MappingProxyType(
    {
        Check.SIZE: "it is not longer than the Nitro Secure Module makes them",
        Check.ENCODING: "it is strict CBOR: definite, shortest, nothing twice, nothing behind it",
        Check.ENVELOPE: "it is a COSE_Sign1 of four parts, with nothing in its unprotected header",
        Check.ALGORITHM: "its protected header names ES384, and nothing else",
        Check.FIELDS: "it has the fields of an attestation document, each within its bounds",
        Check.CERTIFICATES: "its certificates can be read; all have P-384 keys and ECDSA-SHA384 signatures",
        Check.ROOT: "its bundle begins with a root that is trusted here",
        Check.VALIDITY: "every certificate is valid at this time",
        Check.CHAIN: "each certificate was issued by the one before it, which was allowed to",
        Check.SIGNATURE: "it was signed with the key of its certificate",
        Check.PUBLIC_KEY: "it has an RSA public key of 2048 to 4096 bits to encrypt to",
    }
)
"""What has been shown of a document that passed the check."""


class AttestationRefused(Exception):
    """A document that failed a check. `detail` says how, and repeats no byte of the document."""

    def __init__(self, check: Check, detail: str) -> None:
        super().__init__(f"check {check} failed: {detail}")
        self.check = check
        self.detail = detail


class NothingTrusted(Exception):
    """No root has been configured that could vouch for a document."""


class AttestationBusy(Exception):
    """Too many documents wait to be verified; the caller may try again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What a document says that passed every check. `timestamp` is in milliseconds since the epoch.

    `root` names the certificate that vouches for it: the subject's common name.
    """

    family: Family
    root: str
    module_id: str
    timestamp: int
    pcrs: Mapping[int, bytes]
    public_key: bytes
    user_data: bytes | None
    nonce: bytes | None

    def condition_keys(self) -> dict[str, str]:
        """Return the condition keys of IAM that the document fills, each with lower-case hexadecimal.

        `kms:RecipientAttestation:ImageSha384` is PCR0 of an enclave ("AWS KMS condition keys for AWS Nitro
        Enclaves"). An instance with a NitroTPM fills keys of its own, so neither passes for the other.
        """
        if self.family is Family.NITRO_TPM:
            return {f"{_CONDITION}NitroTPMPCR{index}": value.hex() for index, value in self.pcrs.items()}
        keys = {f"{_CONDITION}PCR{index}": value.hex() for index, value in self.pcrs.items()}
        if 0 in self.pcrs:
            keys[f"{_CONDITION}ImageSha384"] = self.pcrs[0].hex()
        return keys


_CONDITION: Final = "kms:RecipientAttestation:"


class Attestation(Protocol):
    """Documents of AWS Nitro, and answers that only the key in one opens. Safe to share between threads."""

    def verify(self, document: bytes, now: float, /) -> Attested:
        """Return what `document` attests at `now`, in seconds since the epoch.

        Raises:
            AttestationRefused: with the first check that failed.
            AttestationBusy: too many wait already.
            NothingTrusted: no root has been configured.

        """

    def seal(self, public_key: bytes, plaintext: bytes, /) -> bytes:
        """Return `plaintext` as CMS EnvelopedData for the key of a document that was verified.

        Raises:
            AttestationRefused: nothing can be encrypted to the key.

        """


class Root(str):
    """Who may vouch for an attestation document: `aws`, or the absolute path of a certificate."""

    __slots__ = ()


AWS_ROOT: Final = Root("aws")
