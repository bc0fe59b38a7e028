"""What a request tells conditions: for each condition key a request, and what its value is and is not."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.wire.policed import ACCOUNT

GRANTEE = f"arn:aws:iam::{ACCOUNT}:user/grantee"
CALLER = f"arn:aws:iam::{ACCOUNT}:user/nobody"
TEXT = {"Plaintext": b"x", "EncryptionContext": {"AppName": "Example"}}
GRANT = {
    "GranteePrincipal": GRANTEE,
    "RetiringPrincipal": CALLER,
    "Operations": ["Encrypt", "Decrypt"],
    "Constraints": {"EncryptionContextSubset": {"AppName": "Example"}},
}
SIGN = {"Message": b"x", "SigningAlgorithm": "RSASSA_PSS_SHA_256", "MessageType": "RAW"}


class Row(NamedTuple):
    """A request of `nobody` about a key, and a condition on it: a value that fits, and one that does not."""

    key: str
    operator: str
    fits: Any
    fails: Any
    operation: str = "describe_key"
    members: Mapping[str, Any] = MappingProxyType({})


ROWS = (
    Row("aws:CurrentTime", "DateGreaterThan", "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"),
    Row("aws:EpochTime", "NumericGreaterThan", 1_600_000_000, 32_000_000_000),
    Row("aws:PrincipalAccount", "StringEquals", ACCOUNT, "444455556666"),
    Row("aws:PrincipalArn", "ArnLike", f"arn:aws:iam::{ACCOUNT}:user/no*", f"arn:aws:iam::{ACCOUNT}:role/*"),
    Row("aws:PrincipalIsAWSService", "Bool", "false", "true"),
    Row("aws:PrincipalTag/Team", "StringEquals", "red", "blue"),
    Row("aws:PrincipalTag/other", "Null", "true", "false"),
    Row("aws:PrincipalType", "StringEquals", "User", "AssumedRole"),
    Row("aws:RequestedRegion", "StringLike", "us-*", "eu-*"),
    Row("aws:ResourceAccount", "StringEquals", ACCOUNT, "444455556666"),
    Row("aws:ResourceTag/team", "StringEquals", "green", "red"),
    Row("aws:SecureTransport", "Bool", "false", "true"),
    Row("aws:SourceIp", "IpAddress", "127.0.0.0/8", "192.0.2.0/24"),
    Row("aws:UserAgent", "StringLike", "Boto3/*", "curl/*"),
    Row("aws:ViaAWSService", "Bool", "false", "true"),
    Row("aws:userid", "StringLike", "AIDA*", "AROA*"),
    Row("aws:username", "StringEquals", "nobody", "Nobody"),
    Row("kms:CallerAccount", "StringEquals", ACCOUNT, "444455556666"),
    Row("kms:CustomerMasterKeySpec", "StringEquals", "SYMMETRIC_DEFAULT", "RSA_2048"),
    Row("kms:CustomerMasterKeyUsage", "StringEquals", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    Row("kms:KeyOrigin", "StringEquals", "AWS_CLOUDHSM", "AWS_KMS"),
    Row("kms:KeySpec", "StringEquals", "SYMMETRIC_DEFAULT", "RSA_2048"),
    Row("kms:KeyUsage", "StringEquals", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    Row("kms:MultiRegion", "Bool", "false", "true"),
    Row("kms:MultiRegionKeyType", "Null", "true", "false"),
    Row("kms:RecipientAttestation:PCR8", "Null", "true", "false"),
    Row("kms:RequestAlias", "Null", "true", "false"),
    Row("kms:ResourceAliases", "Null", "true", "false"),
    Row("kms:ViaService", "Null", "true", "false"),
    Row(
        "aws:RequestTag/team",
        "StringEquals",
        "red",
        "blue",
        "tag_resource",
        {"Tags": [{"TagKey": "team", "TagValue": "red"}]},
    ),
    Row(
        "aws:TagKeys",
        "ForAllValues:StringEquals",
        ["a", "b"],
        ["a"],
        "untag_resource",
        {"TagKeys": ["a", "b"]},
    ),
    Row(
        "kms:BypassPolicyLockoutSafetyCheck",
        "Bool",
        "true",
        "false",
        "put_key_policy",
        {"Policy": "{}", "BypassPolicyLockoutSafetyCheck": True},
    ),
    Row(
        "kms:EncryptionAlgorithm", "StringEquals", "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_256", "encrypt", TEXT
    ),
    Row(
        "kms:EncryptionAlgorithm",
        "StringEquals",
        "SYMMETRIC_DEFAULT",
        "RSAES_OAEP_SHA_256",
        "generate_data_key",
        {"KeySpec": "AES_256"},
    ),
    Row("kms:EncryptionContext:appname", "StringEquals", "Example", "example", "encrypt", TEXT),
    Row("kms:EncryptionContext:AppName", "StringEquals", "Example", "example", "create_grant", GRANT),
    Row("kms:EncryptionContextKeys", "ForAnyValue:StringEquals", "AppName", "appname", "encrypt", TEXT),
    Row("kms:EncryptionContextKeys", "ForAnyValue:StringEquals", "AppName", "appname", "create_grant", GRANT),
    Row(
        "kms:GrantConstraintType",
        "StringEquals",
        "EncryptionContextSubset",
        "EncryptionContextEquals",
        "create_grant",
        GRANT,
    ),
    Row("kms:GrantIsForAWSResource", "Bool", "false", "true", "create_grant", GRANT),
    Row("kms:GrantIsForAWSResource", "Bool", "false", "true", "list_grants"),
    Row(
        "kms:GrantOperations",
        "ForAllValues:StringEquals",
        ["Encrypt", "Decrypt"],
        ["Encrypt"],
        "create_grant",
        GRANT,
    ),
    Row("kms:GranteePrincipal", "StringEquals", GRANTEE, CALLER, "create_grant", GRANT),
    Row("kms:RetiringPrincipal", "StringEquals", CALLER, GRANTEE, "create_grant", GRANT),
    Row(
        "kms:MacAlgorithm",
        "StringEquals",
        "HMAC_SHA_256",
        "HMAC_SHA_512",
        "generate_mac",
        {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"},
    ),
    Row("kms:MessageType", "StringEquals", "RAW", "DIGEST", "sign", SIGN),
    Row("kms:SigningAlgorithm", "StringLike", "RSASSA_PSS*", "ECDSA*", "sign", SIGN),
    Row(
        "kms:ScheduleKeyDeletionPendingWindowInDays",
        "NumericEquals",
        "7",
        "8",
        "schedule_key_deletion",
        {"PendingWindowInDays": 7},
    ),
)
