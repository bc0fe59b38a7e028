"""What the KMS Developer Guide shows of each condition key, rebuilt, and what its text says that it does.

Where a statement denies, another one of the policy allows everything.
"""

from typing import Any, NamedTuple

import pytest

from tests.policy.asking import ACCOUNT, ALICE, NOTHING, ROLE, Values, ask, key_policy

APP = "kms:encryptioncontext:appname"
STAGE = "kms:encryptioncontext:stage"
NAMES = "kms:encryptioncontextkeys"


class Example(NamedTuple):
    """A statement, contexts in which the request is allowed, and contexts in which it is not."""

    effect: str
    condition: dict[str, Any]
    allowed: list[Values]
    refused: list[Values]


def example(condition: dict[str, Any], allowed: list[Values], refused: list[Values]) -> Example:
    """Return a statement that allows."""
    return Example("Allow", condition, allowed, refused)


def denying(condition: dict[str, Any], allowed: list[Values], refused: list[Values]) -> Example:
    """Return a statement that denies."""
    return Example("Deny", condition, allowed, refused)


EXAMPLES = {
    "no bypass of the lockout check": denying(
        {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": True}},
        [{"kms:bypasspolicylockoutsafetycheck": "false"}, NOTHING],
        [{"kms:bypasspolicylockoutsafetycheck": "true"}],
    ),
    "only without the parameter": example(
        {"Null": {"kms:BypassPolicyLockoutSafetyCheck": True}},
        [NOTHING],
        [{"kms:bypasspolicylockoutsafetycheck": "false"}],
    ),
    "RSA data key pairs": example(
        {"StringLike": {"kms:DataKeyPairSpec": "RSA*"}},
        [{"kms:datakeypairspec": "RSA_2048"}],
        [{"kms:datakeypairspec": "ECC_NIST_P256"}, NOTHING],
    ),
    "one algorithm only": denying(
        {"StringNotEquals": {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}},
        [{"kms:encryptionalgorithm": "RSAES_OAEP_SHA_256"}],
        [{"kms:encryptionalgorithm": "SYMMETRIC_DEFAULT"}, NOTHING],
    ),
    "a pair, and others beside it": example(
        {"StringEquals": {"kms:EncryptionContext:AppName": "ExampleApp"}},
        [{APP: "ExampleApp"}, {APP: "ExampleApp", STAGE: "Test"}],
        [{APP: "exampleapp"}, {STAGE: "Test"}, NOTHING],
    ),
    "a pair, and no other": example(
        {
            "StringEquals": {"kms:EncryptionContext:AppName": "ExampleApp"},
            "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["AppName"]},
        },
        [{APP: "ExampleApp", NAMES: ("AppName",)}],
        [{APP: "ExampleApp", NAMES: ("AppName", "Stage")}, {APP: "Other", NAMES: ("AppName",)}, NOTHING],
    ),
    "either of two restricted stages": denying(
        {"StringEquals": {"kms:EncryptionContext:Stage": ["Restricted", "Production"]}},
        [{STAGE: "Test"}, {APP: "ExampleApp"}, NOTHING],
        [{STAGE: "Restricted"}, {STAGE: "Production", APP: "ExampleApp"}],
    ),
    "a key in this case": example(
        {
            "ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "AppName"},
            "StringEquals": {"kms:EncryptionContext:AppName": "ExampleApp"},
        },
        [{APP: "ExampleApp", NAMES: ("AppName", "Stage")}],
        [{APP: "ExampleApp", NAMES: ("appname",)}, {APP: "exampleApp", NAMES: ("AppName",)}],
    ),
    "what the caller has encrypted": example(
        {"StringEquals": {"kms:EncryptionContext:user": "${aws:username}"}},
        [{"kms:encryptioncontext:user": "bob", "aws:username": "bob"}],
        [
            {"kms:encryptioncontext:user": "bob", "aws:username": "alice"},
            {"kms:encryptioncontext:user": "bob"},
        ],
    ),
    "any encryption context": example(
        {"Null": {"kms:EncryptionContextKeys": False}}, [{NAMES: ("anything",)}], [NOTHING]
    ),
    "material that expires": example(
        {"Null": {"kms:ExpirationModel": True}},
        [NOTHING],
        [{"kms:expirationmodel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}],
    ),
    "material until 2018": example(
        {"NumericLessThanEquals": {"kms:ValidTo": "1546257599.0"}},
        [{"kms:validto": "1546257599.0"}, {"kms:validto": "1500000000"}],
        [{"kms:validto": "1546257600"}, NOTHING],
    ),
    "grants with an exact constraint": example(
        {"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}},
        [{"kms:grantconstrainttype": "EncryptionContextEquals"}],
        [{"kms:grantconstrainttype": "EncryptionContextSubset"}, NOTHING],
    ),
    "grants of these operations only": example(
        {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "ReEncryptTo"]}},
        [{"kms:grantoperations": ("Encrypt",)}, {"kms:grantoperations": ("ReEncryptTo", "Encrypt")}],
        [{"kms:grantoperations": ("Encrypt", "Decrypt")}],
    ),
    "grants of one of these operations": example(
        {"ForAnyValue:StringEquals": {"kms:GrantOperations": ["Encrypt", "ReEncryptTo"]}},
        [{"kms:grantoperations": ("Encrypt", "Decrypt")}],
        [{"kms:grantoperations": ("Decrypt",)}, NOTHING],
    ),
    "grants that these may retire": example(
        {"StringEquals": {"kms:RetiringPrincipal": [ROLE, ALICE]}},
        [{"kms:retiringprincipal": ROLE}, {"kms:retiringprincipal": ALICE}],
        [{"kms:retiringprincipal": f"arn:aws:iam::{ACCOUNT}:user/other"}, NOTHING],
    ),
    "only keys in key stores": example(
        {"StringEquals": {"kms:KeyOrigin": "AWS_CLOUDHSM"}},
        [{"kms:keyorigin": "AWS_CLOUDHSM"}],
        [{"kms:keyorigin": "AWS_KMS"}, NOTHING],
    ),
    "single-Region keys": example(
        {"Bool": {"kms:MultiRegion": False}},
        [{"kms:multiregion": "false"}],
        [{"kms:multiregion": "true"}, NOTHING],
    ),
    "to these Regions": example(
        {"StringEquals": {"kms:ReplicaRegion": ["us-east-1", "eu-west-3"]}},
        [{"kms:replicaregion": "eu-west-3"}],
        [{"kms:replicaregion": "eu-west-1"}, NOTHING],
    ),
    "under the same key": example(
        {"Bool": {"kms:ReEncryptOnSameKey": True}},
        [{"kms:reencryptonsamekey": "true"}],
        [{"kms:reencryptonsamekey": "false"}, NOTHING],
    ),
    "all aliases, and one at least": example(
        {
            "ForAllValues:StringLike": {"kms:ResourceAliases": ["alias/*Test*"]},
            "ForAnyValue:StringLike": {"kms:ResourceAliases": ["alias/*Test*"]},
        },
        [{"kms:resourcealiases": ("alias/Test1", "alias/myTest")}],
        [{"kms:resourcealiases": ("alias/Test1", "alias/live")}, NOTHING],
    ),
    "signing with PSS": example(
        {"StringLike": {"kms:SigningAlgorithm": "RSASSA_PSS*"}},
        [{"kms:signingalgorithm": "RSASSA_PSS_SHA_512"}],
        [{"kms:signingalgorithm": "RSASSA_PKCS1_V1_5_SHA_512"}],
    ),
    "not through Lambda": denying(
        {"StringEquals": {"kms:ViaService": ["lambda.us-west-2.amazonaws.com"]}},
        [{"kms:viaservice": "ec2.us-west-2.amazonaws.com"}, NOTHING],
        [{"kms:viaservice": "lambda.us-west-2.amazonaws.com"}],
    ),
    "not wrapped with SHA-1": example(
        {"StringNotEquals": {"kms:WrappingAlgorithm": "RSAES_OAEP_SHA_1"}},
        [{"kms:wrappingalgorithm": "RSAES_OAEP_SHA_256"}, NOTHING],
        [{"kms:wrappingalgorithm": "RSAES_OAEP_SHA_1"}],
    ),
    "one kernel of an enclave": example(
        {"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR1": "1DE4F2"}},
        [{"kms:recipientattestation:pcr1": "1de4f2"}],
        [{"kms:recipientattestation:pcr1": "1de4f3"}, {"kms:recipientattestation:pcr0": "1de4f2"}, NOTHING],
    ),
}  # fmt: skip


@pytest.mark.parametrize("shown", EXAMPLES.values(), ids=EXAMPLES)
def test_an_example(shown: Example) -> None:
    """The key policy lets alice in, or does not, by what the request says."""
    everything = {"Principal": {"AWS": ALICE}}
    statement = {"Effect": shown.effect, "Principal": {"AWS": ALICE}, "Condition": shown.condition}
    policy = key_policy(*([everything] if shown.effect == "Deny" else []), statement)
    for context in shown.allowed:
        assert ask([], policy, context=context).allowed, context
    for context in shown.refused:
        assert not ask([], policy, context=context).allowed, context
