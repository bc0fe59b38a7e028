"""GenerateDataKey and GenerateDataKeyWithoutPlaintext."""

from enum import StrEnum
from typing import Annotated, Final

import msgspec

from hsmstore.domain.errors import DryRunOperationException, ValidationException
from hsmstore.domain.limits import RANDOM_BYTES_MAX
from hsmstore.service.crypto.material import generate_under, usable_key
from hsmstore.service.recipient import RecipientInfo, answer_for
from hsmstore.service.shapes import EncryptionContext, GrantTokens, KeyIdOrAlias, Request, Response
from hsmstore.service.world import Call, World

DataKeyLength = Annotated[int, msgspec.Meta(ge=1, le=RANDOM_BYTES_MAX)]


class DataKeySpec(StrEnum):
    """`DataKeySpec` of the service model."""

    AES_256 = "AES_256"
    AES_128 = "AES_128"


_DATA_KEY_LENGTHS: Final = {DataKeySpec.AES_256: 32, DataKeySpec.AES_128: 16}  # bytes


class GenerateDataKeyRequest(Request, frozen=True):
    """`GenerateDataKeyRequest`."""

    key_id: KeyIdOrAlias
    encryption_context: EncryptionContext | None = None
    number_of_bytes: DataKeyLength | None = None
    key_spec: DataKeySpec | None = None
    grant_tokens: GrantTokens | None = None
    recipient: RecipientInfo | None = None
    dry_run: bool | None = None


class GenerateDataKeyResponse(Response, frozen=True, kw_only=True):
    """`GenerateDataKeyResponse`."""

    ciphertext_blob: bytes
    plaintext: bytes | None = None
    key_id: str
    ciphertext_for_recipient: bytes | None = None
    key_material_id: str | None = None


class GenerateDataKeyWithoutPlaintextRequest(Request, frozen=True):
    """`GenerateDataKeyWithoutPlaintextRequest`."""

    key_id: KeyIdOrAlias
    encryption_context: EncryptionContext | None = None
    key_spec: DataKeySpec | None = None
    number_of_bytes: DataKeyLength | None = None
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class GenerateDataKeyWithoutPlaintextResponse(Response, frozen=True):
    """`GenerateDataKeyWithoutPlaintextResponse`."""

    ciphertext_blob: bytes
    key_id: str
    key_material_id: str | None = None


def generate_data_key(request: GenerateDataKeyRequest, call: Call, world: World) -> GenerateDataKeyResponse:
    """Draw a data key from the cluster's HSM, and give it in the clear and encrypted.

    Raises:
        NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException,
            DryRunOperationException: as documented.
        ValidationException: neither or both of KeySpec and NumberOfBytes; or a Recipient that is refused.
        ThrottlingException: too many Recipients at once.
        DependencyTimeoutException, KMSInternalException: as `on_token`.

    """
    length = _length(request.key_spec, request.number_of_bytes)
    if request.recipient is not None:
        return answer_for(request.recipient, generate_data_key, request, call, world)
    key = usable_key(world, call, request.key_id)
    plaintext, blob = generate_under(world, key, length, request.encryption_context)
    if request.dry_run:
        raise DryRunOperationException
    return GenerateDataKeyResponse(ciphertext_blob=blob, plaintext=plaintext, key_id=key.arn)


def generate_data_key_without_plaintext(
    request: GenerateDataKeyWithoutPlaintextRequest, call: Call, world: World
) -> GenerateDataKeyWithoutPlaintextResponse:
    """Draw a data key from the cluster's HSM, and give it encrypted only.

    The model says that such a key cannot be used for this; the Developer Guide lists it as supported.

    Raises:
        NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException,
            DryRunOperationException: as documented.
        ValidationException: neither or both of KeySpec and NumberOfBytes.
        DependencyTimeoutException, KMSInternalException: as `on_token`.

    """
    length = _length(request.key_spec, request.number_of_bytes)
    key = usable_key(world, call, request.key_id)
    _, blob = generate_under(world, key, length, request.encryption_context)
    if request.dry_run:
        raise DryRunOperationException
    return GenerateDataKeyWithoutPlaintextResponse(ciphertext_blob=blob, key_id=key.arn)


def _length(spec: DataKeySpec | None, number_of_bytes: int | None) -> int:
    if spec is not None and number_of_bytes is None:
        return _DATA_KEY_LENGTHS[spec]
    if number_of_bytes is not None and spec is None:
        return number_of_bytes
    raise ValidationException("Please specify either number of bytes or key spec.")
