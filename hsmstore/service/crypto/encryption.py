"""Encrypt, Decrypt and ReEncrypt.

The work of a DryRun is done and its result dropped, so that what it says is true. Texts: recorded where
`tests/wire` says so; the order of refusals is ours: the blob's form, the key that it names, the key's state,
the algorithm, the token.
"""

from typing import Final, TypeVar

from hsmstore.domain.ciphertext import Blob, additional_data, unpack
from hsmstore.domain.errors import (
    AccessDeniedException,
    DryRunOperationException,
    IncorrectKeyException,
    InvalidCiphertextException,
    NotFoundException,
    ValidationException,
)
from hsmstore.domain.faults import Phase
from hsmstore.domain.key import KmsKey
from hsmstore.domain.tokenkeys import CiphertextRefused
from hsmstore.service.crypto.material import encrypt_under, on_token, require_usable, strike_phase, usable_key
from hsmstore.service.crypto.shapes import CiphertextBlob, DryRunModifier, EncryptionAlgorithm, Plaintext
from hsmstore.service.keys.resolving import resolve
from hsmstore.service.recipient import RecipientInfo, answer_for
from hsmstore.service.shapes import EncryptionContext, GrantTokens, KeyIdOrAlias, Request, Response
from hsmstore.service.world import Call, World

Value = TypeVar("Value")


class EncryptRequest(Request, frozen=True):
    """`EncryptRequest`."""

    key_id: KeyIdOrAlias
    plaintext: Plaintext
    encryption_context: EncryptionContext | None = None
    grant_tokens: GrantTokens | None = None
    encryption_algorithm: EncryptionAlgorithm | None = None
    dry_run: bool | None = None


class EncryptResponse(Response, frozen=True):
    """`EncryptResponse`, in the order recorded from AWS; `key_id` is the key's ARN, as in every response."""

    ciphertext_blob: bytes
    encryption_algorithm: EncryptionAlgorithm
    key_id: str


class DecryptRequest(Request, frozen=True):
    """`DecryptRequest`."""

    ciphertext_blob: CiphertextBlob | None = None
    encryption_context: EncryptionContext | None = None
    grant_tokens: GrantTokens | None = None
    key_id: KeyIdOrAlias | None = None
    encryption_algorithm: EncryptionAlgorithm | None = None
    recipient: RecipientInfo | None = None
    dry_run: bool | None = None
    dry_run_modifiers: list[DryRunModifier] | None = None


class DecryptResponse(Response, frozen=True, kw_only=True):
    """`DecryptResponse`. KeyMaterialId is documented for keys of other origins only."""

    key_id: str
    plaintext: bytes | None = None
    encryption_algorithm: EncryptionAlgorithm
    ciphertext_for_recipient: bytes | None = None
    key_material_id: str | None = None


class ReEncryptRequest(Request, frozen=True, kw_only=True):
    """`ReEncryptRequest`."""

    ciphertext_blob: CiphertextBlob | None = None
    source_encryption_context: EncryptionContext | None = None
    source_key_id: KeyIdOrAlias | None = None
    destination_key_id: KeyIdOrAlias
    destination_encryption_context: EncryptionContext | None = None
    source_encryption_algorithm: EncryptionAlgorithm | None = None
    destination_encryption_algorithm: EncryptionAlgorithm | None = None
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None
    dry_run_modifiers: list[DryRunModifier] | None = None


class ReEncryptResponse(Response, frozen=True, kw_only=True):
    """`ReEncryptResponse`."""

    ciphertext_blob: bytes
    source_key_id: str
    key_id: str
    source_encryption_algorithm: EncryptionAlgorithm
    destination_encryption_algorithm: EncryptionAlgorithm
    source_key_material_id: str | None = None
    destination_key_material_id: str | None = None


def encrypt(request: EncryptRequest, call: Call, world: World) -> EncryptResponse:
    """Encrypt up to 4,096 bytes under a key.

    Raises:
        NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException,
            DryRunOperationException: as documented.
        DependencyTimeoutException, KMSInternalException: as `on_token`.

    """
    key = usable_key(world, call, request.key_id, request.encryption_algorithm)
    blob = encrypt_under(world, key, request.plaintext, request.encryption_context)
    if request.dry_run:
        raise DryRunOperationException
    return EncryptResponse(
        ciphertext_blob=blob, encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT, key_id=key.arn
    )


def decrypt(request: DecryptRequest, call: Call, world: World) -> DecryptResponse:
    """Decrypt what Encrypt or a data key operation gave, with the key that the blob names.

    Raises:
        NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException,
            InvalidCiphertextException, IncorrectKeyException, DryRunOperationException: as documented.
        AccessDeniedException: the blob's key is not in this account and Region, or is no more.
        ValidationException: no CiphertextBlob; or a Recipient that is refused.
        ThrottlingException: too many Recipients at once.
        DependencyTimeoutException, KMSInternalException: as `on_token`.

    """
    if request.recipient is not None:
        _require_members(request)
        return answer_for(request.recipient, decrypt, request, call, world)
    if _ignores_ciphertext(request):
        usable_key(world, call, _given(request.key_id, "KeyId"), request.encryption_algorithm)
        raise DryRunOperationException
    blob = unpack(_given(request.ciphertext_blob, "CiphertextBlob"))
    key = _source(world, call, blob, request.key_id, request.encryption_algorithm)
    plaintext = _decrypt(world, key, blob, request.encryption_context)
    if request.dry_run:
        raise DryRunOperationException
    return DecryptResponse(
        key_id=key.arn, plaintext=plaintext, encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT
    )


def re_encrypt(request: ReEncryptRequest, call: Call, world: World) -> ReEncryptResponse:
    """Decrypt with one key and encrypt under another; each on its own cluster's token.

    Raises:
        NotFoundException, DisabledException, KMSInvalidStateException, InvalidKeyUsageException,
            InvalidCiphertextException, IncorrectKeyException, DryRunOperationException: as documented.
        AccessDeniedException, ValidationException: as `decrypt`.
        DependencyTimeoutException, KMSInternalException: as `on_token`.

    """
    algorithm = request.source_encryption_algorithm
    target = resolve(world, call, request.destination_key_id)
    if _ignores_ciphertext(request):
        usable_key(world, call, _given(request.source_key_id, "SourceKeyId"), algorithm)
        require_usable(target, request.destination_encryption_algorithm)
        raise DryRunOperationException
    blob = unpack(_given(request.ciphertext_blob, "CiphertextBlob"))
    source = _source(world, call, blob, request.source_key_id, algorithm)
    require_usable(target, request.destination_encryption_algorithm)
    plaintext = _decrypt(world, source, blob, request.source_encryption_context)
    reencrypted = encrypt_under(world, target, plaintext, request.destination_encryption_context)
    if request.dry_run:
        raise DryRunOperationException
    return ReEncryptResponse(
        ciphertext_blob=reencrypted,
        source_key_id=source.arn,
        key_id=target.arn,
        source_encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT,
        destination_encryption_algorithm=EncryptionAlgorithm.SYMMETRIC_DEFAULT,
    )


def _require_members(request: DecryptRequest) -> None:
    """Find what is missing before the Recipient's document is looked at: shape comes first."""
    if _ignores_ciphertext(request):
        _given(request.key_id, "KeyId")
    else:
        _given(request.ciphertext_blob, "CiphertextBlob")


def _given(value: Value | None, member: str) -> Value:
    """Require a member that the model leaves out only for a DryRun without ciphertext.

    The text is by analogy with the one recorded of GenerateRandom, whose model does not require its member
    either.
    """
    if value is None:
        raise ValidationException(f"{member} is required.")
    return value


def _ignores_ciphertext(request: DecryptRequest | ReEncryptRequest) -> bool:
    modifiers = request.dry_run_modifiers or []
    return bool(request.dry_run) and DryRunModifier.IGNORE_CIPHERTEXT in modifiers


def _source(
    world: World, call: Call, blob: Blob, name: str | None, algorithm: EncryptionAlgorithm | None
) -> KmsKey:
    """Return the key that the blob names, which must be the one that the request names, if it does."""
    if name is not None:
        key = resolve(world, call, name)
        if key.arn != blob.arn:
            raise IncorrectKeyException(_INCORRECT)
    else:
        try:
            key = resolve(world, call, blob.arn)
        except NotFoundException as error:
            raise AccessDeniedException(_NO_SUCH_KEY) from error
        call.recording.found({blob.arn: key, **call.keys})
    require_usable(key, algorithm)
    return key


def _decrypt(world: World, key: KmsKey, blob: Blob, context: EncryptionContext | None) -> bytes:
    strike_phase(world, key, Phase.DECRYPT)
    aad = additional_data(blob.head, context)
    try:
        return on_token(world, key, lambda token: token.decrypt(key.material_id, blob.sealed, aad))
    except CiphertextRefused as error:
        raise InvalidCiphertextException from error


_INCORRECT: Final = "The key ID in the request does not identify a CMK that can perform this operation."
_NO_SUCH_KEY: Final = (
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region,"
    " or you are not allowed to access."
)
