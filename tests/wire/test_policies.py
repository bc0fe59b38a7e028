"""Key policies, through boto3."""

import json
from typing import Any

import pytest

from tests.wire.keys import Keys
from tests.wire.refusals import code, refusal

ACCOUNT = "121212121212"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"


def statement(**members: Any) -> dict[str, Any]:
    """Return a statement that lets the account do everything, but for `members`; None removes one."""
    whole = {"Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "kms:*", "Resource": "*"} | members
    return {name: value for name, value in whole.items() if value is not None}


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.aws_documented
def test_default_policy(keys: Keys) -> None:
    """A key that is made without a policy has the documented one, whose name is `default`."""
    key_id = keys.create()
    assert keys.kms.list_key_policies(KeyId=key_id)["PolicyNames"] == ["default"]
    answer = keys.kms.get_key_policy(KeyId=key_id)
    assert answer["PolicyName"] == "default"
    assert json.loads(answer["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{"Sid": "Enable IAM User Permissions", **statement()}],
    }


@pytest.mark.inferred(reason="AWS may space a policy anew.")
def test_a_policy_is_given_back_as_it_came(keys: Keys) -> None:
    """A policy comes with the key or later, and is given back to the letter."""
    first, second = policy(statement()), policy(statement(Action=["kms:Get*", "kms:Put*"]), statement())
    key_id = keys.create(Policy=first)
    assert keys.kms.get_key_policy(KeyId=key_id)["Policy"] == first
    keys.kms.put_key_policy(KeyId=keys.arn(key_id), PolicyName="default", Policy=second)
    assert keys.kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"] == second


MALFORMED = {
    "no JSON": "{",
    "a list": "[]",
    "no statement": json.dumps({"Version": "2012-10-17"}),
    "a statement that is none": json.dumps({"Statement": ["Allow"]}),
    "no effect": policy(statement(Effect=None)),
    "another effect": policy(statement(Effect="Perhaps")),
    "no principal": policy(statement(Principal=None)),
    "no action": policy(statement(Action=None)),
    "no resource": policy(statement(Resource=None)),
    "action twice": policy(statement(NotAction="kms:Decrypt")),
    "an element that there is not": policy(statement(Conditions={})),
    "an operator that there is not": policy(statement(Condition={"StringEqual": {"a": "b"}})),
    "a date that is none": policy(statement(Condition={"DateLessThan": {"aws:CurrentTime": "soon"}})),
    "a principal that is none": policy(statement(), statement(Principal={"AWS": "somebody"})),
}


@pytest.mark.inferred(reason="The exception is documented, not what it is raised for, nor its order.")
@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_policy(keys: Keys, text: str) -> None:
    """What is no key policy is refused, even if the lockout check is bypassed."""
    malformed = "MalformedPolicyDocumentException"
    bypass = {"BypassPolicyLockoutSafetyCheck": True}
    assert code(keys.kms.create_key, **keys.members(Policy=text, **bypass)) == malformed
    key_id = keys.create()
    before = keys.kms.get_key_policy(KeyId=key_id)["Policy"]
    assert code(keys.kms.put_key_policy, KeyId=key_id, Policy=text, **bypass) == malformed
    assert keys.kms.get_key_policy(KeyId=key_id)["Policy"] == before


LOCKED_OUT = {
    "read only": policy(statement(Action=["kms:Get*", "kms:List*"])),
    "another account": policy(statement(Principal={"AWS": "arn:aws:iam::111122223333:root"})),
    "denied": policy(statement(Effect="Deny")),
    "a service": policy(statement(Principal={"Service": "s3.amazonaws.com"})),
}


@pytest.mark.inferred(
    reason="AWS asks whether the caller may; here it is whether anybody of the account may."
)
@pytest.mark.parametrize("text", LOCKED_OUT.values(), ids=LOCKED_OUT.keys())
def test_a_policy_that_locks_out(keys: Keys, text: str) -> None:
    """A policy by which nobody of the account may put another is refused, unless the check is bypassed."""
    refused = refusal(keys.kms.create_key, **keys.members(Policy=text))
    assert refused == (
        400,
        "MalformedPolicyDocumentException",
        "The new key policy will not allow you to update the key policy in the future.",
    )
    key_id = keys.create(Policy=text, BypassPolicyLockoutSafetyCheck=True)
    assert keys.kms.get_key_policy(KeyId=key_id)["Policy"] == text
    assert code(keys.kms.put_key_policy, KeyId=key_id, Policy=text) == refused.code
    keys.kms.put_key_policy(KeyId=key_id, Policy=text, BypassPolicyLockoutSafetyCheck=True)


OPEN = {
    "the account by its number": statement(Principal={"AWS": ACCOUNT}),
    "everybody": statement(Principal="*"),
    "a role of the account": statement(Principal={"AWS": [f"arn:aws:iam::{ACCOUNT}:role/admin"]}),
    "the one action": statement(Action="kms:PutKeyPolicy"),
    "in another case": statement(Action="KMS:putkeypolicy"),
    "everything": statement(Action="*"),
}


@pytest.mark.inferred(reason="IAM's rules of principals and actions, as far as the check looks at them.")
@pytest.mark.parametrize("one", OPEN.values(), ids=OPEN.keys())
def test_a_policy_that_lets_the_account_in(keys: Keys, one: dict[str, Any]) -> None:
    """Whoever of the account may put another policy is enough."""
    assert keys.create(Policy=policy(one))
    assert keys.create(Policy=json.dumps({"Statement": one}))


@pytest.mark.aws_documented
def test_a_long_policy(keys: Keys) -> None:
    """A policy may have 32 KB, though the model allows four times as much."""
    room = 32 * 1024 - len(policy(statement(Sid="")))
    assert keys.create(Policy=policy(statement(Sid="x" * room)))
    too_long = policy(statement(Sid="x" * (room + 1)))
    assert code(keys.kms.create_key, **keys.members(Policy=too_long)) == "LimitExceededException"
    assert code(keys.kms.put_key_policy, KeyId=keys.create(), Policy=too_long) == "LimitExceededException"


@pytest.mark.inferred(reason="That `default` is the only name is documented, what becomes of another is not.")
def test_a_policy_of_another_name(keys: Keys) -> None:
    """There is no policy of another name."""
    key_id = keys.create()
    refused = refusal(keys.kms.get_key_policy, KeyId=key_id, PolicyName="other")
    assert refused == (400, "NotFoundException", "No such policy exists")
    members = {"KeyId": key_id, "PolicyName": "other", "Policy": policy(statement())}
    assert refusal(keys.kms.put_key_policy, **members) == refused
