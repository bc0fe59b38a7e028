"""The key policies that the KMS Developer Guide shows, rebuilt, and what its text says that they do."""

from typing import Any

import pytest

from tests.policy.asking import ACCOUNT, ALICE, OTHER, ROOT, SESSION, ask, identity, key_policy

ADMIN = f"arn:aws:iam::{ACCOUNT}:role/KMSAdministrator"
ADMIN_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/KMSAdministrator/me"
USER_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/EncryptionApp/me"
USE = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
ADMINISTER = [
    "kms:Create*",
    "kms:Describe*",
    "kms:Enable*",
    "kms:List*",
    "kms:Put*",
    "kms:Update*",
    "kms:Revoke*",
]
GRANTS = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]

TYPICAL = key_policy(
    {"Sid": "Enable IAM policies"},
    {"Sid": "Allow access for Key Administrators", "Principal": {"AWS": ADMIN}, "Action": ADMINISTER},
    {
        "Sid": "Allow use of the key",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/EncryptionApp"},
        "Action": USE,
    },
    {
        "Sid": "Allow attachment of persistent resources",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/EncryptionApp"},
        "Action": GRANTS,
        "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
    },
)


@pytest.mark.parametrize(
    ("subject", "action", "context", "expected"),
    [
        (ADMIN_SESSION, "kms:PutKeyPolicy", {}, True),
        (ADMIN_SESSION, "kms:Decrypt", {}, False),
        (USER_SESSION, "kms:ReEncryptFrom", {}, True),
        (USER_SESSION, "kms:GenerateDataKeyWithoutPlaintext", {}, True),
        (USER_SESSION, "kms:PutKeyPolicy", {}, False),
        (USER_SESSION, "kms:CreateGrant", {"kms:grantisforawsresource": "true"}, True),
        (USER_SESSION, "kms:CreateGrant", {"kms:grantisforawsresource": "false"}, False),
        (USER_SESSION, "kms:CreateGrant", {}, False),
        (ALICE, "kms:Decrypt", {}, False),
        (ROOT, "kms:Decrypt", {}, True),
    ],
)
def test_administrators_and_users(subject: str, action: str, context: Any, *, expected: bool) -> None:
    """Who administers a key does not use it, and the other way round; the account is left to its policies."""
    assert ask([], TYPICAL, subject=subject, action=action, context=context).allowed is expected
    own = [identity({"Action": action})]
    assert ask(own, TYPICAL, subject=subject, action=action, context=context).allowed


def test_use_through_a_service_only() -> None:
    """With kms:ViaService and kms:CallerAccount, everybody of an account may use a key through a service."""
    condition = {
        "StringEquals": {"kms:ViaService": "ec2.us-west-2.amazonaws.com", "kms:CallerAccount": ACCOUNT}
    }
    policy = key_policy({"Principal": {"AWS": "*"}, "Action": USE, "Condition": condition})
    via = {"kms:calleraccount": ACCOUNT, "kms:viaservice": "ec2.us-west-2.amazonaws.com"}
    assert ask([], policy, context=via).allowed
    assert not ask([], policy, context={"kms:calleraccount": ACCOUNT}).allowed
    assert not ask([], policy, context={**via, "kms:calleraccount": OTHER}).allowed


def test_an_encryption_context() -> None:
    """A role may decrypt with an encryption context only that has the pair of the policy."""
    name = "kms:EncryptionContext:AppName"
    policy = key_policy({"Principal": {"AWS": ALICE}, "Condition": {"StringEquals": {name: "ExampleApp"}}})
    assert ask([], policy, context={"kms:encryptioncontext:appname": "ExampleApp"}).allowed
    assert not ask([], policy, context={"kms:encryptioncontext:appname": "exampleapp"}).allowed
    assert not ask([], policy, context={}).allowed


def test_the_keys_of_an_encryption_context() -> None:
    """ForAllValues lets no other key in, and also none at all; Null asks for one."""
    condition: dict[str, Any] = {
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["AppName", "FilePath"]}
    }
    with_some = {**condition, "Null": {"kms:EncryptionContextKeys": "false"}}
    for conditions, without in ((condition, True), (with_some, False)):
        policy = key_policy({"Principal": {"AWS": ALICE}, "Condition": conditions})
        assert ask([], policy, context={"kms:encryptioncontextkeys": ("FilePath", "AppName")}).allowed
        assert not ask([], policy, context={"kms:encryptioncontextkeys": ("AppName", "Other")}).allowed
        assert ask([], policy, context={}).allowed is without


def test_by_alias() -> None:
    """kms:ResourceAliases is about the names that a key has, kms:RequestAlias about the one that was used."""
    named = identity(
        {"Condition": {"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/ExampleAlias*"}}}
    )
    used = identity({"Condition": {"StringEquals": {"kms:RequestAlias": "alias/ExampleAlias"}}})
    delegating = key_policy({})
    context = {"kms:resourcealiases": ("alias/other", "alias/ExampleAlias2")}
    assert ask([named], delegating, context=context).allowed
    assert not ask([named], delegating, context={"kms:resourcealiases": ("alias/other",)}).allowed
    assert not ask([used], delegating, context=context).allowed
    assert ask([used], delegating, context={"kms:requestalias": "alias/ExampleAlias"}).allowed


IMAGE = "9fedcba8abcdef7abcdef6abcdef5abcdef4abcdef3abcdef2abcdef1abcdef1abcdef0abcdef1abcdef2abcdef3abcde"


def test_an_enclave() -> None:
    """A role may decrypt for one enclave image only; hexadecimal has no case with IgnoreCase."""
    condition = {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:ImageSha384": IMAGE.upper()}}
    policy = key_policy({"Principal": {"AWS": SESSION}, "Condition": condition})
    attested = {"kms:recipientattestation:imagesha384": IMAGE}
    assert ask([], policy, subject=SESSION, context=attested).allowed
    assert not ask([], policy, subject=SESSION, context={}).allowed
    assert not ask([], policy, subject=SESSION, context=dict.fromkeys(attested, "0" * 96)).allowed


def test_a_deny_for_all_but_one_enclave() -> None:
    """Denying whatever is not the image denies a request without a document too."""
    condition = {"StringNotEqualsIgnoreCase": {"kms:RecipientAttestation:PCR0": IMAGE}}
    deny = {"Effect": "Deny", "Principal": "*", "Condition": condition}
    policy = key_policy({"Principal": {"AWS": ALICE}}, deny)
    assert ask([], policy, context={"kms:recipientattestation:pcr0": IMAGE}).allowed
    assert not ask([], policy, context={"kms:recipientattestation:pcr0": "0" * 96}).allowed
    assert not ask([], policy, context={}).allowed
