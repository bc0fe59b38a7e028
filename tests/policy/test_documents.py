"""What is no policy, and why."""

import json
from typing import Any

import pytest

from hsmstore.domain.policy.document import Kind, parse
from hsmstore.domain.policy.patterns import Malformed
from tests.policy.asking import ROOT, document

STATEMENT = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}


def reason(text: str, kind: Kind = Kind.IDENTITY) -> str:
    """Return why the text is no policy."""
    with pytest.raises(Malformed) as raised:
        parse(text, kind, "x")
    return raised.value.reason


def with_members(**members: Any) -> str:
    """Return an identity policy of one statement with these members too; None removes one."""
    whole = {**STATEMENT, **members}
    return document({name: value for name, value in whole.items() if value is not None})


MALFORMED = {
    "{": "The identity policy is not valid JSON.",
    "[" * 100_000: "The identity policy is not valid JSON.",
    '{"Statement": NaN}': "The identity policy is not valid JSON.",
    '{"Statement": [], "Statement": []}': "A member is twice in one JSON object of 'Statement'.",
    "[]": "The identity policy has no Statement.",
    "{}": "The identity policy has no Statement.",
    json.dumps({"Statement": STATEMENT, "Statements": []}): "A policy has no element 'Statements'.",
    document(STATEMENT, version="2012"): "A policy's Version must be one of 2008-10-17, 2012-10-17.",
    json.dumps({"Version": ["2012-10-17"], "Statement": STATEMENT}): (
        "A policy's Version must be one of 2008-10-17, 2012-10-17."
    ),
    json.dumps({"Id": 1, "Statement": STATEMENT}): "A policy's Id must be a string.",
    json.dumps({"Statement": []}): "The identity policy has no Statement.",
    json.dumps({"Statement": [1]}): "A Statement must be a JSON object. (Statement 1)",
    with_members(Effect="allow"): "A statement's Effect must be Allow or Deny. (Statement 1)",
    with_members(Effect=["Allow"]): "A statement's Effect must be Allow or Deny. (Statement 1)",
    with_members(
        Principal="*"
    ): "In the identity policy, a statement has no element 'Principal'. (Statement 1)",
    with_members(Sid="a b"): "A statement's Sid must be made of letters and digits. (Statement 1)",
    document({**STATEMENT, "Sid": "a"}, {**STATEMENT, "Sid": "a"}): (
        "The Sids of an identity policy's statements must differ."
    ),
    with_members(NotAction="kms:*"): "A statement must have either Action or NotAction. (Statement 1)",
    with_members(Resource=None): "A statement must have either Resource or NotResource. (Statement 1)",
    with_members(Action=[]): "Action must be a string or a list of strings. (Statement 1)",
    with_members(Action=None, NotAction=1): "NotAction must be a string or a list of strings. (Statement 1)",
    with_members(Action="Decrypt"): "'Decrypt' is not an action, such as kms:Decrypt. (Statement 1)",
    with_members(Resource="key/x"): "'key/x' is neither an ARN nor *. (Statement 1)",
    with_members(Resource="arn:${x"): "The policy variable in 'arn:${x' is not valid. (Statement 1)",
    with_members(Resource="arn:${}"): "The policy variable in 'arn:${}' is not valid. (Statement 1)",
    with_members(Condition=[]): "A Condition must be a JSON object. (Statement 1)",
    with_members(Condition={"StringEquals": "x"}): (
        "The condition operator StringEquals must have a JSON object of condition keys. (Statement 1)"
    ),
    with_members(Condition={"StringEquals": {"k": []}}): (
        "The condition StringEquals on k has no value. (Statement 1)"
    ),
    with_members(Condition={"StringEquals": {"k": {}}}): (
        "A value of the condition StringEquals on k is neither text, number nor boolean. (Statement 1)"
    ),
}
UNKNOWN_OPERATORS = [
    "StringEqual",
    "stringequals",
    "ForEachValue:StringEquals",
    "NullIfExists",
    "ForAnyValue:Null",
]
INCOMPARABLE = [
    ("NumericEquals", "ten", "it is not a number"),
    ("NumericEquals", "1e3", "it is not a number"),
    ("DateEquals", "2026-13-01", "month must be in 1..12"),
    ("DateEquals", "2026-01-01T00:00", "it is not a number"),
    ("IpAddress", "10.0.0.256", "'10.0.0.256' does not appear to be an IPv4 or IPv6 network"),
    ("BinaryEquals", "?", "it is not base64"),
    ("Bool", "yes", "it is neither true nor false"),
    ("Null", "yes", "it is neither true nor false"),
]


@pytest.mark.parametrize(("text", "expected"), MALFORMED.items(), ids=range(len(MALFORMED)))
def test_a_malformed_policy(text: str, expected: str) -> None:
    """A document that is no policy is refused with a reason that says what to mend, and where."""
    assert reason(text) == expected


@pytest.mark.parametrize("operator", UNKNOWN_OPERATORS)
def test_an_operator_that_there_is_not(operator: str) -> None:
    """No condition is passed over because its operator is not known."""
    text = with_members(Condition={operator: {"k": "true"}})
    assert reason(text) == f"There is no condition operator {operator}. (Statement 1)"


@pytest.mark.parametrize(("operator", "value", "why"), INCOMPARABLE)
def test_a_value_that_cannot_be_compared_with(operator: str, value: str, why: str) -> None:
    """A policy's number, date, address or bytes must be one."""
    refused = reason(with_members(Condition={operator: {"k": value}}))
    assert refused.startswith(f"A condition cannot compare with {value!r}: {why}")


@pytest.mark.parametrize(
    "principal",
    ["alice", {}, [], {"AWS": "alice"}, {"AWS": [1]}, {"Everybody": "*"}, {"AWS": "arn:aws:s3:::b"}],
)
def test_an_invalid_principal(principal: Any) -> None:
    """A key policy's principals are accounts, users, roles, services; the text of the refusal is AWS's."""
    text = document({**STATEMENT, "Principal": principal})
    assert reason(text, Kind.KEY) == "Policy contains a statement with one or more invalid principals."


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        {"AWS": "*"},
        {"AWS": [ROOT, "111122223333"]},
        {"Service": "s3.amazonaws.com"},
        {"AWS": "AIDA" + "A" * 17},
    ],
)
def test_a_valid_principal(principal: Any) -> None:
    """These can be named; a key policy's Sid may have spaces, and may be there twice."""
    statement = {**STATEMENT, "Sid": "Allow this", "Principal": principal}
    assert len(parse(document(statement, statement), Kind.KEY, "x").statements) == 2


def test_no_principal_but_these_allowed() -> None:
    """NotPrincipal goes with Deny only, as the User Guide says."""
    allow = document({**STATEMENT, "NotPrincipal": {"AWS": ROOT}})
    assert reason(allow, Kind.KEY) == "NotPrincipal goes with an Effect of Deny only. (Statement 1)"
    deny = document({**STATEMENT, "Effect": "Deny", "NotPrincipal": {"AWS": ROOT}})
    assert len(parse(deny, Kind.KEY, "x").statements) == 1
    assert reason(document(STATEMENT), Kind.KEY) == (
        "A statement must have either Principal or NotPrincipal. (Statement 1)"
    )


@pytest.mark.parametrize(
    ("key", "what"),
    [("kms:EncryptionContext:AppName", "encryption context"), ("aws:RequestTag/team", "tag")],
)
def test_all_values_of_a_key_that_has_one(key: str, what: str) -> None:
    """In a key policy it lets in who has none, and is refused in AWS's words; an identity policy may."""
    condition = {"ForAllValues:StringEquals": {key: "x"}}
    statement = {**STATEMENT, "Condition": condition}
    refused = reason(document({**statement, "Principal": "*"}), Kind.KEY)
    assert refused.startswith("OverlyPermissiveCondition: Using the ForAllValues set operator")
    assert refused.endswith(f"or with an unspecified {what}. To fix, remove ForAllValues.")
    assert parse(document(statement), Kind.IDENTITY, "x").statements
    condition["ForAllValues:StringEquals"] = {"kms:EncryptionContextKeys": "AppName"}
    assert parse(document({**statement, "Principal": "*"}), Kind.KEY, "x").statements
