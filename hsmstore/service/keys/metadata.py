"""`KeyMetadata`, and the words of the service model that are about keys."""

from enum import StrEnum

import msgspec

from hsmstore.domain.key import KeyState, KmsKey
from hsmstore.service.shapes import Response


class KeyUsage(StrEnum):
    """`KeyUsageType` of the service model."""

    SIGN_VERIFY = "SIGN_VERIFY"
    ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
    GENERATE_VERIFY_MAC = "GENERATE_VERIFY_MAC"
    KEY_AGREEMENT = "KEY_AGREEMENT"
    ENCAPSULATE_DECAPSULATE = "ENCAPSULATE_DECAPSULATE"


class CustomerMasterKeySpec(StrEnum):
    """`CustomerMasterKeySpec` of the service model, which has since been named `KeySpec`."""

    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"
    ECC_NIST_P256 = "ECC_NIST_P256"
    ECC_NIST_P384 = "ECC_NIST_P384"
    ECC_NIST_P521 = "ECC_NIST_P521"
    ECC_SECG_P256K1 = "ECC_SECG_P256K1"
    SYMMETRIC_DEFAULT = "SYMMETRIC_DEFAULT"
    HMAC_224 = "HMAC_224"
    HMAC_256 = "HMAC_256"
    HMAC_384 = "HMAC_384"
    HMAC_512 = "HMAC_512"
    SM2 = "SM2"


class KeySpec(StrEnum):
    """`KeySpec` of the service model."""

    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"
    ECC_NIST_P256 = "ECC_NIST_P256"
    ECC_NIST_P384 = "ECC_NIST_P384"
    ECC_NIST_P521 = "ECC_NIST_P521"
    ECC_SECG_P256K1 = "ECC_SECG_P256K1"
    SYMMETRIC_DEFAULT = "SYMMETRIC_DEFAULT"
    HMAC_224 = "HMAC_224"
    HMAC_256 = "HMAC_256"
    HMAC_384 = "HMAC_384"
    HMAC_512 = "HMAC_512"
    SM2 = "SM2"
    ML_DSA_44 = "ML_DSA_44"
    ML_DSA_65 = "ML_DSA_65"
    ML_DSA_87 = "ML_DSA_87"
    ECC_NIST_EDWARDS25519 = "ECC_NIST_EDWARDS25519"
    ML_KEM_512 = "ML_KEM_512"
    ML_KEM_768 = "ML_KEM_768"
    ML_KEM_1024 = "ML_KEM_1024"


class Origin(StrEnum):
    """`OriginType` of the service model."""

    AWS_KMS = "AWS_KMS"
    EXTERNAL = "EXTERNAL"
    AWS_CLOUDHSM = "AWS_CLOUDHSM"
    EXTERNAL_KEY_STORE = "EXTERNAL_KEY_STORE"


class MultiRegionKey(Response, frozen=True):
    """`MultiRegionKey`. No key in a custom key store is one."""

    arn: str | None = None
    region: str | None = None


class MultiRegionConfiguration(Response, frozen=True):
    """`MultiRegionConfiguration`. No key in a custom key store has one."""

    multi_region_key_type: str | None = None
    primary_key: MultiRegionKey | None = None
    replica_keys: list[MultiRegionKey] | None = None


class XksKeyConfiguration(Response, frozen=True):
    """`XksKeyConfigurationType`: the external key of a key in an external key store."""

    id: str


class KeyMetadata(Response, frozen=True, kw_only=True):
    """`KeyMetadata`; dates are in seconds since the epoch. What such a key never has stays None."""

    aws_account_id: str = msgspec.field(name="AWSAccountId")
    key_id: str
    arn: str
    creation_date: float
    enabled: bool
    description: str
    key_usage: KeyUsage
    key_state: KeyState
    deletion_date: float | None = None
    valid_to: float | None = None
    origin: Origin
    custom_key_store_id: str
    cloud_hsm_cluster_id: str
    expiration_model: str | None = None
    key_manager: str
    customer_master_key_spec: KeySpec
    key_spec: KeySpec
    encryption_algorithms: list[str]
    signing_algorithms: list[str] | None = None
    key_agreement_algorithms: list[str] | None = None
    encapsulation_algorithms: list[str] | None = None
    multi_region: bool
    multi_region_configuration: MultiRegionConfiguration | None = None
    pending_deletion_window_in_days: int | None = None
    mac_algorithms: list[str] | None = None
    xks_key_configuration: XksKeyConfiguration | None = None
    current_key_material_id: str | None = None


def metadata(key: KmsKey) -> KeyMetadata:
    """Describe a key."""
    return KeyMetadata(
        aws_account_id=key.scope.account,
        key_id=key.id,
        arn=key.arn,
        creation_date=round(key.created_at, 3),
        enabled=key.state is KeyState.ENABLED,
        description=key.description,
        key_usage=KeyUsage.ENCRYPT_DECRYPT,
        key_state=key.state,
        deletion_date=None if key.deletion_at is None else round(key.deletion_at, 3),
        origin=Origin.AWS_CLOUDHSM,
        custom_key_store_id=key.store.id,
        cloud_hsm_cluster_id=key.cluster_id,
        key_manager="CUSTOMER",
        customer_master_key_spec=KeySpec.SYMMETRIC_DEFAULT,
        key_spec=KeySpec.SYMMETRIC_DEFAULT,
        encryption_algorithms=["SYMMETRIC_DEFAULT"],
        multi_region=False,
    )
