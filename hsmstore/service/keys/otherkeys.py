"""The requests of operations that are for keys of other kinds, with the service model's constraints."""

from enum import StrEnum
from typing import Annotated

import msgspec

from hsmstore.service.recipient import RecipientInfo
from hsmstore.service.shapes import (
    Description,
    EncryptionContext,
    GrantTokens,
    KeyId,
    KeyIdOrAlias,
    Marker,
    PageSize,
    Policy,
    Request,
    TagMember,
    text,
)

RotationPeriod = Annotated[int, msgspec.Meta(ge=90, le=2560)]
Ciphertext = Annotated[bytes, text(1, 6144)]
KeyMaterialDescription = Annotated[str, text(0, 256, r"^[a-zA-Z0-9:/_\s.-]+$")]
KeyMaterialId = Annotated[str, text(64, 64, r"^[a-f0-9]+$")]
RegionName = Annotated[str, text(1, 32, r"^([a-z]+-){2,3}\d+$")]
Message = Annotated[bytes, text(1, 4096, sensitive=True)]
PublicKey = Annotated[bytes, text(1, 8192)]


class IncludeKeyMaterial(StrEnum):
    """`IncludeKeyMaterial` of the service model."""

    ALL_KEY_MATERIAL = "ALL_KEY_MATERIAL"
    ROTATIONS_ONLY = "ROTATIONS_ONLY"


class AlgorithmSpec(StrEnum):
    """`AlgorithmSpec` of the service model."""

    RSAES_PKCS1_V1_5 = "RSAES_PKCS1_V1_5"
    RSAES_OAEP_SHA_1 = "RSAES_OAEP_SHA_1"
    RSAES_OAEP_SHA_256 = "RSAES_OAEP_SHA_256"
    RSA_AES_KEY_WRAP_SHA_1 = "RSA_AES_KEY_WRAP_SHA_1"
    RSA_AES_KEY_WRAP_SHA_256 = "RSA_AES_KEY_WRAP_SHA_256"
    SM2PKE = "SM2PKE"


class WrappingKeySpec(StrEnum):
    """`WrappingKeySpec` of the service model."""

    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"
    SM2 = "SM2"


class ExpirationModelType(StrEnum):
    """`ExpirationModelType` of the service model."""

    KEY_MATERIAL_EXPIRES = "KEY_MATERIAL_EXPIRES"
    KEY_MATERIAL_DOES_NOT_EXPIRE = "KEY_MATERIAL_DOES_NOT_EXPIRE"


class ImportType(StrEnum):
    """`ImportType` of the service model."""

    NEW_KEY_MATERIAL = "NEW_KEY_MATERIAL"
    EXISTING_KEY_MATERIAL = "EXISTING_KEY_MATERIAL"


class MessageType(StrEnum):
    """`MessageType` of the service model."""

    RAW = "RAW"
    DIGEST = "DIGEST"
    EXTERNAL_MU = "EXTERNAL_MU"


class SigningAlgorithmSpec(StrEnum):
    """`SigningAlgorithmSpec` of the service model."""

    RSASSA_PSS_SHA_256 = "RSASSA_PSS_SHA_256"
    RSASSA_PSS_SHA_384 = "RSASSA_PSS_SHA_384"
    RSASSA_PSS_SHA_512 = "RSASSA_PSS_SHA_512"
    RSASSA_PKCS1_V1_5_SHA_256 = "RSASSA_PKCS1_V1_5_SHA_256"
    RSASSA_PKCS1_V1_5_SHA_384 = "RSASSA_PKCS1_V1_5_SHA_384"
    RSASSA_PKCS1_V1_5_SHA_512 = "RSASSA_PKCS1_V1_5_SHA_512"
    ECDSA_SHA_256 = "ECDSA_SHA_256"
    ECDSA_SHA_384 = "ECDSA_SHA_384"
    ECDSA_SHA_512 = "ECDSA_SHA_512"
    SM2DSA = "SM2DSA"
    ML_DSA_SHAKE_256 = "ML_DSA_SHAKE_256"
    ED25519_SHA_512 = "ED25519_SHA_512"
    ED25519_PH_SHA_512 = "ED25519_PH_SHA_512"


class MacAlgorithmSpec(StrEnum):
    """`MacAlgorithmSpec` of the service model."""

    HMAC_SHA_224 = "HMAC_SHA_224"
    HMAC_SHA_256 = "HMAC_SHA_256"
    HMAC_SHA_384 = "HMAC_SHA_384"
    HMAC_SHA_512 = "HMAC_SHA_512"


class DataKeyPairSpec(StrEnum):
    """`DataKeyPairSpec` of the service model."""

    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"
    ECC_NIST_P256 = "ECC_NIST_P256"
    ECC_NIST_P384 = "ECC_NIST_P384"
    ECC_NIST_P521 = "ECC_NIST_P521"
    ECC_SECG_P256K1 = "ECC_SECG_P256K1"
    SM2 = "SM2"
    ECC_NIST_EDWARDS25519 = "ECC_NIST_EDWARDS25519"
    ML_KEM_512 = "ML_KEM_512"
    ML_KEM_768 = "ML_KEM_768"
    ML_KEM_1024 = "ML_KEM_1024"


class KeyAgreementAlgorithmSpec(StrEnum):
    """`KeyAgreementAlgorithmSpec` of the service model."""

    ECDH = "ECDH"


class EnableKeyRotationRequest(Request, frozen=True, kw_only=True):
    """`EnableKeyRotationRequest`."""

    key_id: KeyId
    rotation_period_in_days: RotationPeriod | None = None


class ListKeyRotationsRequest(Request, frozen=True, kw_only=True):
    """`ListKeyRotationsRequest`."""

    key_id: KeyId
    include_key_material: IncludeKeyMaterial | None = None
    limit: PageSize | None = None
    marker: Marker | None = None


class GetParametersForImportRequest(Request, frozen=True, kw_only=True):
    """`GetParametersForImportRequest`."""

    key_id: KeyId
    wrapping_algorithm: AlgorithmSpec
    wrapping_key_spec: WrappingKeySpec


class ImportKeyMaterialRequest(Request, frozen=True, kw_only=True):
    """`ImportKeyMaterialRequest`."""

    key_id: KeyId
    import_token: Ciphertext
    encrypted_key_material: Ciphertext
    valid_to: float | None = None
    expiration_model: ExpirationModelType | None = None
    import_type: ImportType | None = None
    key_material_description: KeyMaterialDescription | None = None
    key_material_id: KeyMaterialId | None = None


class DeleteImportedKeyMaterialRequest(Request, frozen=True, kw_only=True):
    """`DeleteImportedKeyMaterialRequest`."""

    key_id: KeyId
    key_material_id: KeyMaterialId | None = None


class UpdatePrimaryRegionRequest(Request, frozen=True, kw_only=True):
    """`UpdatePrimaryRegionRequest`."""

    key_id: KeyId
    primary_region: RegionName


class ReplicateKeyRequest(Request, frozen=True, kw_only=True):
    """`ReplicateKeyRequest`."""

    key_id: KeyId
    replica_region: RegionName
    policy: Policy | None = None
    bypass_policy_lockout_safety_check: bool | None = None
    description: Description | None = None
    tags: list[TagMember] | None = None


class SignRequest(Request, frozen=True, kw_only=True):
    """`SignRequest`."""

    key_id: KeyIdOrAlias
    message: Message
    message_type: MessageType | None = None
    grant_tokens: GrantTokens | None = None
    signing_algorithm: SigningAlgorithmSpec
    dry_run: bool | None = None


class VerifyRequest(Request, frozen=True, kw_only=True):
    """`VerifyRequest`."""

    key_id: KeyIdOrAlias
    message: Message
    message_type: MessageType | None = None
    signature: Ciphertext
    signing_algorithm: SigningAlgorithmSpec
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class GetPublicKeyRequest(Request, frozen=True, kw_only=True):
    """`GetPublicKeyRequest`."""

    key_id: KeyIdOrAlias
    grant_tokens: GrantTokens | None = None


class GenerateMacRequest(Request, frozen=True, kw_only=True):
    """`GenerateMacRequest`."""

    message: Message
    key_id: KeyIdOrAlias
    mac_algorithm: MacAlgorithmSpec
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class VerifyMacRequest(Request, frozen=True, kw_only=True):
    """`VerifyMacRequest`."""

    message: Message
    key_id: KeyIdOrAlias
    mac_algorithm: MacAlgorithmSpec
    mac: Ciphertext
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class GenerateDataKeyPairRequest(Request, frozen=True, kw_only=True):
    """`GenerateDataKeyPairRequest`."""

    encryption_context: EncryptionContext | None = None
    key_id: KeyIdOrAlias
    key_pair_spec: DataKeyPairSpec
    grant_tokens: GrantTokens | None = None
    recipient: RecipientInfo | None = None
    dry_run: bool | None = None


class GenerateDataKeyPairWithoutPlaintextRequest(Request, frozen=True, kw_only=True):
    """`GenerateDataKeyPairWithoutPlaintextRequest`."""

    encryption_context: EncryptionContext | None = None
    key_id: KeyIdOrAlias
    key_pair_spec: DataKeyPairSpec
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None


class DeriveSharedSecretRequest(Request, frozen=True, kw_only=True):
    """`DeriveSharedSecretRequest`."""

    key_id: KeyIdOrAlias
    key_agreement_algorithm: KeyAgreementAlgorithmSpec
    public_key: PublicKey
    grant_tokens: GrantTokens | None = None
    dry_run: bool | None = None
    recipient: RecipientInfo | None = None
