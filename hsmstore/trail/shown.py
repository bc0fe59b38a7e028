"""What a record shows of requests and answers, operation by operation: everything else stays out.

A list of what may be shown, not of what may not: a member that somebody adds to a request is no secret told.
Plaintext, ciphertext, passwords, credentials, tokens and certificates stand on no line. The shapes are those
of the samples in the KMS Developer Guide, "Logging AWS KMS API calls with AWS CloudTrail"; of operations
without a sample they follow the same rules.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Shown(NamedTuple):
    """The members that are shown, by field. Of a request that shows none, requestParameters is null."""

    request: tuple[str, ...] = ()
    response: tuple[str, ...] = ()


_STORE: Final = Shown(("custom_key_store_id",))
_KEY: Final = Shown(("key_id",))
_DATA_KEY: Final = Shown(("key_id", "encryption_context", "key_spec", "number_of_bytes"))
_LIST: Final = ("limit", "marker")
_ALIAS: Final = Shown(("alias_name", "target_key_id"))
_MAC: Final = Shown(("key_id", "mac_algorithm"))
_PAIR: Final = Shown(("key_id", "encryption_context", "key_pair_spec"))
_SIGNATURE: Final = Shown(("key_id", "message_type", "signing_algorithm"))
_PROXY: Final = (
    "xks_proxy_uri_endpoint",
    "xks_proxy_uri_path",
    "xks_proxy_vpc_endpoint_service_name",
    "xks_proxy_vpc_endpoint_service_owner",
    "xks_proxy_connectivity",
)

SHOWN: Final[Mapping[str, Shown]] = MappingProxyType(
    {
        "CreateCustomKeyStore": Shown(
            ("custom_key_store_name", "cloud_hsm_cluster_id", "custom_key_store_type", *_PROXY),
            ("custom_key_store_id",),
        ),
        "DescribeCustomKeyStores": Shown(("custom_key_store_id", "custom_key_store_name", *_LIST)),
        "ConnectCustomKeyStore": _STORE,
        "DisconnectCustomKeyStore": _STORE,
        "UpdateCustomKeyStore": Shown(
            ("custom_key_store_id", "new_custom_key_store_name", "cloud_hsm_cluster_id", *_PROXY)
        ),
        "DeleteCustomKeyStore": _STORE,
        "GenerateRandom": Shown(),
        "Encrypt": Shown(("key_id", "encryption_context", "encryption_algorithm")),
        "Decrypt": Shown(("key_id", "encryption_context", "encryption_algorithm")),
        "ReEncrypt": Shown(
            (
                "source_key_id",
                "source_encryption_context",
                "source_encryption_algorithm",
                "destination_key_id",
                "destination_encryption_context",
                "destination_encryption_algorithm",
            )
        ),
        "GenerateDataKey": _DATA_KEY,
        "GenerateDataKeyWithoutPlaintext": _DATA_KEY,
        "CreateKey": Shown(
            (
                "key_usage",
                "bypass_policy_lockout_safety_check",
                "origin",
                "key_spec",
                "customer_master_key_spec",
                "custom_key_store_id",
                "description",
                "multi_region",
                "tags",
                "xks_key_id",
            ),
            ("key_metadata",),
        ),
        "DescribeKey": _KEY,
        "ListKeys": Shown(_LIST),
        "UpdateKeyDescription": Shown(("key_id", "description")),
        "EnableKey": _KEY,
        "DisableKey": _KEY,
        "ScheduleKeyDeletion": Shown(
            ("key_id", "pending_window_in_days"),
            ("key_id", "deletion_date", "key_state", "pending_window_in_days"),
        ),
        "CancelKeyDeletion": Shown(("key_id",), ("key_id",)),
        "CreateAlias": _ALIAS,
        "UpdateAlias": _ALIAS,
        "DeleteAlias": Shown(("alias_name",)),
        "ListAliases": Shown(("key_id", *_LIST)),
        "TagResource": Shown(("key_id", "tags")),
        "UntagResource": Shown(("key_id", "tag_keys")),
        "ListResourceTags": Shown(("key_id", *_LIST)),
        "GetKeyPolicy": Shown(("key_id", "policy_name")),
        "PutKeyPolicy": Shown(("key_id", "policy_name", "policy", "bypass_policy_lockout_safety_check")),
        "ListKeyPolicies": Shown(("key_id", *_LIST)),
        "CreateGrant": Shown(
            (
                "key_id",
                "grantee_principal",
                "retiring_principal",
                "grantee_service_principal",
                "retiring_service_principal",
                "operations",
                "constraints",
                "name",
            ),
            ("grant_id",),
        ),
        "ListGrants": Shown(("key_id", "grant_id", "grantee_principal", "grantee_service_principal", *_LIST)),
        "ListRetirableGrants": Shown(("retiring_principal", "retiring_service_principal", *_LIST)),
        "RetireGrant": Shown(("key_id", "grant_id")),
        "RevokeGrant": Shown(("key_id", "grant_id")),
        "GetKeyRotationStatus": _KEY,
        "EnableKeyRotation": Shown(("key_id", "rotation_period_in_days")),
        "DisableKeyRotation": _KEY,
        "RotateKeyOnDemand": _KEY,
        "ListKeyRotations": Shown(("key_id", *_LIST)),
        "GetParametersForImport": Shown(("key_id", "wrapping_algorithm", "wrapping_key_spec")),
        "ImportKeyMaterial": Shown(("key_id", "valid_to", "expiration_model", "import_type")),
        "DeleteImportedKeyMaterial": Shown(("key_id", "key_material_id")),
        "GenerateDataKeyPair": _PAIR,
        "GenerateDataKeyPairWithoutPlaintext": _PAIR,
        "UpdatePrimaryRegion": Shown(("key_id", "primary_region")),
        "ReplicateKey": Shown(("key_id", "replica_region", "description", "tags")),
        "Sign": _SIGNATURE,
        "Verify": _SIGNATURE,
        "GetPublicKey": _KEY,
        "GenerateMac": _MAC,
        "VerifyMac": _MAC,
        "DeriveSharedSecret": Shown(("key_id", "key_agreement_algorithm")),
    }
)

STORE_EVENTS: Final = frozenset(
    {"ConnectCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore", "DeleteCustomKeyStore"}
)
"""Those that name their store's name and cluster in additionalEventData."""

RENAMED: Final = MappingProxyType({"cloudHsmClusterId": "clusterId"})
"""By CloudTrail, in store events."""
