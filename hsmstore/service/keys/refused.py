"""What KMS has for keys of other kinds, and refuses to every key in a custom key store.

Which exception: KMS API Reference and KMS Developer Guide, "Custom key stores", in every state of the key.
The texts follow templates that are recorded for other keys.
"""

from typing import NoReturn

from hsmstore.domain.errors import InvalidKeyUsageException, UnsupportedOperationException
from hsmstore.service.keys.metadata import Origin
from hsmstore.service.keys.otherkeys import (
    DeleteImportedKeyMaterialRequest,
    DeriveSharedSecretRequest,
    EnableKeyRotationRequest,
    GenerateDataKeyPairRequest,
    GenerateDataKeyPairWithoutPlaintextRequest,
    GenerateMacRequest,
    GetParametersForImportRequest,
    GetPublicKeyRequest,
    ImportKeyMaterialRequest,
    ListKeyRotationsRequest,
    ReplicateKeyRequest,
    SignRequest,
    UpdatePrimaryRegionRequest,
    VerifyMacRequest,
    VerifyRequest,
)
from hsmstore.service.keys.resolving import resolve
from hsmstore.service.shapes import KeyRequest
from hsmstore.service.world import Call, World


def get_key_rotation_status(request: KeyRequest, call: Call, world: World) -> NoReturn:
    """Refused: keys in custom key stores are not rotated.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def enable_key_rotation(request: EnableKeyRotationRequest, call: Call, world: World) -> NoReturn:
    """Refused: keys in custom key stores are not rotated.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def disable_key_rotation(request: KeyRequest, call: Call, world: World) -> NoReturn:
    """Refused: keys in custom key stores are not rotated.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def rotate_key_on_demand(request: KeyRequest, call: Call, world: World) -> NoReturn:
    """Refused: keys in custom key stores are not rotated.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def list_key_rotations(request: ListKeyRotationsRequest, call: Call, world: World) -> NoReturn:
    """Refused: keys in custom key stores are not rotated.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def get_parameters_for_import(request: GetParametersForImportRequest, call: Call, world: World) -> NoReturn:
    """Refused: the material of such a key is made in its cluster.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def import_key_material(request: ImportKeyMaterialRequest, call: Call, world: World) -> NoReturn:
    """Refused: the material of such a key is made in its cluster.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def delete_imported_key_material(
    request: DeleteImportedKeyMaterialRequest, call: Call, world: World
) -> NoReturn:
    """Refused: the material of such a key is made in its cluster.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def generate_data_key_pair(request: GenerateDataKeyPairRequest, call: Call, world: World) -> NoReturn:
    """Refused: custom key stores make no data key pairs.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def generate_data_key_pair_without_plaintext(
    request: GenerateDataKeyPairWithoutPlaintextRequest, call: Call, world: World
) -> NoReturn:
    """Refused: custom key stores make no data key pairs.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _wrong_origin(world, call, request.key_id)


def update_primary_region(request: UpdatePrimaryRegionRequest, call: Call, world: World) -> NoReturn:
    """Refused: custom key stores have no multi-Region keys.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _not_multi_region(world, call, request.key_id)


def replicate_key(request: ReplicateKeyRequest, call: Call, world: World) -> NoReturn:
    """Refused: custom key stores have no multi-Region keys.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise _not_multi_region(world, call, request.key_id)


def sign(request: SignRequest, call: Call, world: World) -> NoReturn:
    """Refused: such a key encrypts.

    Raises:
        NotFoundException: no such key.
        InvalidKeyUsageException: otherwise.

    """
    raise _wrong_usage(world, call, request.key_id, "Sign")


def verify(request: VerifyRequest, call: Call, world: World) -> NoReturn:
    """Refused: such a key encrypts.

    Raises:
        NotFoundException: no such key.
        InvalidKeyUsageException: otherwise.

    """
    raise _wrong_usage(world, call, request.key_id, "Verify")


def generate_mac(request: GenerateMacRequest, call: Call, world: World) -> NoReturn:
    """Refused: such a key encrypts.

    Raises:
        NotFoundException: no such key.
        InvalidKeyUsageException: otherwise.

    """
    raise _wrong_usage(world, call, request.key_id, "GenerateMac")


def verify_mac(request: VerifyMacRequest, call: Call, world: World) -> NoReturn:
    """Refused: such a key encrypts.

    Raises:
        NotFoundException: no such key.
        InvalidKeyUsageException: otherwise.

    """
    raise _wrong_usage(world, call, request.key_id, "VerifyMac")


def derive_shared_secret(request: DeriveSharedSecretRequest, call: Call, world: World) -> NoReturn:
    """Refused: such a key encrypts.

    Raises:
        NotFoundException: no such key.
        InvalidKeyUsageException: otherwise.

    """
    raise _wrong_usage(world, call, request.key_id, "DeriveSharedSecret")


def get_public_key(request: GetPublicKeyRequest, call: Call, world: World) -> NoReturn:
    """Refused: such a key has no public half.

    Raises:
        NotFoundException: no such key.
        UnsupportedOperationException: otherwise.

    """
    raise UnsupportedOperationException(
        f"{resolve(world, call, request.key_id).arn} is a symmetric key and has no public key."
    )


def _wrong_origin(world: World, call: Call, name: str) -> UnsupportedOperationException:
    arn = resolve(world, call, name).arn
    return UnsupportedOperationException(
        f"{arn} origin is {Origin.AWS_CLOUDHSM} which is not valid for this operation."
    )


def _not_multi_region(world: World, call: Call, name: str) -> UnsupportedOperationException:
    return UnsupportedOperationException(
        f"{resolve(world, call, name).arn} is not a multi-region primary key."
    )


def _wrong_usage(world: World, call: Call, name: str, operation: str) -> InvalidKeyUsageException:
    arn = resolve(world, call, name).arn
    return InvalidKeyUsageException(f"{arn} key usage is ENCRYPT_DECRYPT which is not valid for {operation}.")
