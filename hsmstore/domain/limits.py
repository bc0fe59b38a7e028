"""Every limit, with its source."""

from typing import Final

# kms/2014-11-01 service model
RANDOM_BYTES_MAX: Final = 1024
PLAINTEXT_MAX: Final = 4096
CIPHERTEXT_MAX: Final = 6144
KEY_STORE_NAME_MAX: Final = 256
KEY_STORE_ID_MAX: Final = 64
KMSUSER_PASSWORD_MIN: Final = 7
KMSUSER_PASSWORD_MAX: Final = 32
DESCRIBE_PAGE_MAX: Final = 1000
MARKER_MAX: Final = 1024
TRUST_ANCHOR_MAX: Final = 5000

KEY_ID_MAX: Final = 2048
DESCRIPTION_MAX: Final = 8192
POLICY_MAX: Final = 131_072
TAG_KEY_MAX: Final = 128
TAG_VALUE_MAX: Final = 256
GRANT_TOKENS_MAX: Final = 10
GRANT_TOKEN_MAX: Final = 8192
ALIAS_NAME_MAX: Final = 256
DELETION_WINDOW_MAX: Final = 365

# KMS Developer Guide, "Resource quotas"
KEY_STORES_PER_REGION: Final = 10
KEYS_PER_REGION: Final = 100_000
ALIASES_PER_KEY: Final = 50
GRANTS_PER_KEY: Final = 50_000
POLICY_BYTES: Final = 32 * 1024

# KMS API Reference, TagResource: a key has at most 50 tags.
TAGS_PER_KEY: Final = 50

# KMS API Reference, GrantConstraints: pairs, and characters of a value.
CONTEXT_CONSTRAINT_PAIRS: Final = 8
CONTEXT_CONSTRAINT_VALUE: Final = 384

# KMS API Reference, ScheduleKeyDeletion: days.
DELETION_DAYS_MIN: Final = 7
DELETION_DAYS: Final = 30

# KMS API Reference, the default and the greatest Limit of each list.
KEYS_PAGE: Final = (100, 1000)
ALIASES_PAGE: Final = (50, 100)
GRANTS_PAGE: Final = (50, 100)
TAGS_PAGE: Final = (50, 50)
POLICIES_PAGE: Final = (100, 1000)

# KMS API Reference: CreateCustomKeyStore and CreateKey need two active HSMs in different
# Availability Zones, ConnectCustomKeyStore and cryptographic operations one.
HSMS_TO_CREATE: Final = 2
HSMS_TO_CONNECT: Final = 1

# CloudHSM User Guide, "Quotas"
HSMS_PER_CLUSTER: Final = 28

# Ours. AWS publishes no size for KMS; the largest member (an attestation document, 262,144 bytes) fits
# with its base64 and to spare.
REQUEST_BODY_MAX: Final = 1024 * 1024

# CloudHSM User Guide, "HSM users": a user is locked out after five failed login attempts.
FAILED_LOGINS_MAX: Final = 5

# An IPv4 /24 has 256 addresses, of which AWS reserves five in each subnet (VPC User Guide).
SUBNET_ADDRESSES: Final = 251
