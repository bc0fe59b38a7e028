"""What the requests and responses of cryptography share, with the service model's constraints."""

from enum import StrEnum
from typing import Annotated

from hsmstore.domain.limits import CIPHERTEXT_MAX, PLAINTEXT_MAX
from hsmstore.service.shapes import text

CiphertextBlob = Annotated[bytes, text(1, CIPHERTEXT_MAX)]
Plaintext = Annotated[bytes, text(1, PLAINTEXT_MAX, sensitive=True)]


class EncryptionAlgorithm(StrEnum):
    """`EncryptionAlgorithmSpec` of the service model."""

    SYMMETRIC_DEFAULT = "SYMMETRIC_DEFAULT"
    RSAES_OAEP_SHA_1 = "RSAES_OAEP_SHA_1"
    RSAES_OAEP_SHA_256 = "RSAES_OAEP_SHA_256"
    SM2PKE = "SM2PKE"


class DryRunModifier(StrEnum):
    """`DryRunModifierType` of the service model."""

    IGNORE_CIPHERTEXT = "IGNORE_CIPHERTEXT"
