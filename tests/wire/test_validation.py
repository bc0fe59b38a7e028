"""Types and constraints of every member of every request, over raw HTTP: boto3 checks some of them itself."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.server import Server
from tests.wire.model import (
    JsonObject,
    Member,
    body_with,
    each_kind,
    every_member,
    example,
    longest,
    shortest,
)
from tests.wire.refusals import Refusal, read

pytestmark = pytest.mark.sqlite  # what is refused here never meets a registry


def invalid(message: str) -> Refusal:
    """Return a ValidationException."""
    return Refusal(400, "ValidationException", message)


def broken(count: int, *constraints: str) -> Refusal:
    """Return the ValidationException of broken constraints, as AWS words it."""
    errors = "error" if count == 1 else "errors"
    return invalid(f"{count} validation {errors} detected: {'; '.join(constraints)}")


BELOW = (
    "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint:"
    " Member must have value greater than or equal to 1"
)
ABOVE = (
    "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint:"
    " Member must have value less than or equal to 1024"
)
RECORDED = [(0, BELOW), (1025, ABOVE), (None, "NumberOfBytes is required.")]


@pytest.mark.aws_recorded
@pytest.mark.parametrize(("number", "message"), RECORDED)
def test_recorded_text(server: Server, number: int | None, message: str) -> None:
    """GenerateRandom refuses a wrong or missing NumberOfBytes in the recorded words."""
    body = {} if number is None else {"NumberOfBytes": number}
    assert read(server.call("GenerateRandom", body)) == invalid(message)


def beyond(member: Member) -> Iterator[tuple[Any, list[str]]]:
    """Yield values beyond each bound of the member, and the constraints that each breaks."""
    bounds, shape = member.constraints, member.shape
    if values := bounds.get("enum"):
        for value in ("RANDOM", values[0].lower(), ""):
            yield value, [f"satisfy enum value set: [{', '.join(values)}]"]
    elif shape.type_name == "integer":
        for value in (bounds["min"] - 1, -1, -(2**63)):
            yield value, [f"have value greater than or equal to {bounds['min']}"]
        for value in (bounds["max"] + 1, 2**31, 2**63, 10**30):
            yield value, [f"have value less than or equal to {bounds['max']}"]
    else:
        if "max" not in bounds:
            return
        for value in ("x" * (bounds["min"] - 1), longest(shape) + "x", shortest(shape)[:-1] + "\u0100"):
            yield value, list(_broken_by(value, bounds))


def _broken_by(value: str, bounds: Any) -> Iterator[str]:
    if len(value) < bounds["min"]:
        yield f"have length greater than or equal to {bounds['min']}"
    if len(value) > bounds["max"]:
        yield f"have length less than or equal to {bounds['max']}"
    if "pattern" in bounds and re.fullmatch(bounds["pattern"], value, re.ASCII) is None:
        yield f"satisfy regular expression pattern: {bounds['pattern']}"


BEYOND = [
    (member, value, constraints)
    for member in each_kind("string", "integer")
    for value, constraints in beyond(member)
    if constraints
]


@pytest.mark.inferred(
    reason="Each form is recorded of AWS, but not of each member; that a member which breaks two of its"
    " constraints has both named, length first, is our guess, and so is the order of an enum's values."
)
@pytest.mark.parametrize(
    ("member", "value", "constraints"),
    BEYOND,
    ids=[f"{member}-{str(value)[:12]!a}-{len(str(value))}" for member, value, _ in BEYOND],
)
def test_beyond_a_bound(server: Server, member: Member, value: Any, constraints: list[str]) -> None:
    """A value beyond a bound of the model is refused in AWS's words, and shown unless it is sensitive."""
    shown = "Value" if member.constraints.get("sensitive") else f"Value '{value}'"
    sentence = f"{shown} at '{member.name}' failed to satisfy constraint: Member must "
    expected = broken(len(constraints), *(sentence + constraint for constraint in constraints))
    assert read(server.call(member.operation, body_with(member, value))) == expected


AT_BOUND = [
    (member, value)
    for member in each_kind("string")
    for value in (member.constraints.get("enum") or (shortest(member.shape), longest(member.shape)))
]


@pytest.mark.aws_documented
@pytest.mark.parametrize(
    ("member", "value"), AT_BOUND, ids=[f"{member}-{len(value)}" for member, value in AT_BOUND]
)
def test_at_a_bound(server: Server, member: Member, value: str) -> None:
    """The shortest and the longest value that the model allows break no constraint."""
    answer = server.call(member.operation, body_with(member, value))
    assert answer.status < 500
    assert b"failed to satisfy constraint" not in answer.body
    assert b"SerializationException" not in answer.body


@pytest.mark.aws_documented
@pytest.mark.parametrize("limit", [1, 1000])
def test_limit_at_its_bounds(server: Server, limit: int) -> None:
    """DescribeCustomKeyStores takes a Limit of 1 and of 1000."""
    assert server.call("DescribeCustomKeyStores", {"Limit": limit}).status == 200


@pytest.mark.inferred(reason="Kinesis, on the same framework, shows a blob by its length like this.")
@pytest.mark.parametrize(
    ("blob", "length", "constraint"),
    [("", 0, "greater than or equal to 1"), ("QUJD" * 87382, 262146, "less than or equal to 262144")],
    ids=["empty", "long"],
)
def test_blob_beyond_a_bound(server: Server, blob: str, length: int, constraint: str) -> None:
    """A blob beyond its bounds is shown by its length."""
    body = {"NumberOfBytes": 1, "Recipient": {"AttestationDocument": blob}}
    assert read(server.call("GenerateRandom", body)) == broken(
        1,
        f"Value 'java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]' at"
        " 'recipient.attestationDocument' failed to satisfy constraint:"
        f" Member must have length {constraint}",
    )


LISTS: list[tuple[str, JsonObject, str]] = [
    (
        "DescribeKey",
        {"KeyId": "x", "GrantTokens": ["t"] * 11},
        (
            f"Value '[{', '.join('t' * 11)}]' at 'grantTokens' failed to satisfy constraint:"
            " Member must have length less than or equal to 10"
        ),
    ),
    (
        "ListKeys",
        {"ResourceOwners": []},
        (
            "Value '[]' at 'resourceOwners' failed to satisfy constraint:"
            " Member must have length greater than or equal to 1"
        ),
    ),
    (
        "ListKeys",
        {"ResourceOwners": ["SELF", "US"]},
        (
            "Value '[SELF, US]' at 'resourceOwners' failed to satisfy constraint: Member must satisfy"
            " constraint: [Member must satisfy enum value set: [SELF, OTHER_ACCOUNTS_VIA_RAM]]"
        ),
    ),
    (
        "TagResource",
        {"KeyId": "x", "Tags": [{"TagKey": "a", "TagValue": ""}, {"TagValue": ""}]},
        "Value null at 'tags.2.member.tagKey' failed to satisfy constraint: Member must not be null",
    ),
    (
        "UntagResource",
        {"KeyId": "x", "TagKeys": ["a", None]},
        "Value null at 'tagKeys.2.member' failed to satisfy constraint: Member must not be null",
    ),
]


@pytest.mark.inferred(reason="Each form is recorded of other services on the same framework.")
@pytest.mark.parametrize(("operation", "body", "constraint"), LISTS, ids=[text[:40] for *_, text in LISTS])
def test_list_beyond_a_bound(server: Server, operation: str, body: JsonObject, constraint: str) -> None:
    """A list that is too long or too short is shown as a whole, and a null in one by its place."""
    assert read(server.call(operation, body)) == broken(1, constraint)


@pytest.mark.inferred(reason="By analogy with members that stand in no list.")
@pytest.mark.parametrize(
    ("operation", "body", "text"),
    [
        ("UntagResource", {"KeyId": "x", "TagKeys": [1]}, "NUMBER_VALUE can not be converted to a String"),
        ("TagResource", {"KeyId": "x", "Tags": ["a"]}, "Expected null"),
        (
            "Encrypt",
            {"KeyId": "x", "EncryptionContext": {"a": 1}},
            "NUMBER_VALUE can not be converted to a String",
        ),
    ],
)
def test_wrong_type_in_a_list_or_map(server: Server, operation: str, body: JsonObject, text: str) -> None:
    """What is in a list or a map has a type, too."""
    assert read(server.call(operation, body)) == Refusal(400, "SerializationException", text)


REQUIRED = [member for member in every_member() if member.required]


@pytest.mark.inferred(reason="The text is measured of Athena, on the same framework.")
@pytest.mark.parametrize("given", [True, False], ids=["null", "absent"])
@pytest.mark.parametrize("member", REQUIRED, ids=str)
def test_required_member(server: Server, member: Member, *, given: bool) -> None:
    """A member that the model requires may be neither null nor absent."""
    body = body_with(member, None)
    if not given:
        inner: Any = body
        for part in member.path[:-1]:
            inner = inner[part]
        del inner[member.path[-1]]
    assert read(server.call(member.operation, body)) == broken(
        1, f"Value null at '{member.name}' failed to satisfy constraint: Member must not be null"
    )


OPTIONAL = [member for member in each_kind() if not member.required]


@pytest.mark.inferred(reason="Measured of Athena, on the same framework.")
@pytest.mark.parametrize("member", OPTIONAL, ids=str)
def test_null_is_absent(server: Server, member: Member) -> None:
    """A member that is null counts as absent, whether it stands in the request or in a structure."""
    without = body_with(member, None)
    inner: Any = without
    for part in member.path[:-1]:
        inner = inner[part]
    del inner[member.path[-1]]
    with_null = server.call(member.operation, body_with(member, None))
    absent = server.call(member.operation, without)
    assert (with_null.status, with_null.body) == (absent.status, absent.body)


STRUCTURE = "Start of structure or map found where not expected."
LIST = "Start of list found where not expected"
NUMBER, STRING, TRUE, FALSE = "NUMBER_VALUE", "STRING_VALUE", "TRUE_VALUE", "FALSE_VALUE"
SCALARS: list[tuple[Any, str]] = [(1, NUMBER), (1.5, NUMBER), ("x", STRING), (True, TRUE), (False, FALSE)]
TARGETS = {
    "integer": "an Integer",
    "string": "a String",
    "blob": "a Blob",
    "boolean": "a Boolean",
    "timestamp": "a Timestamp",
}
FITS = {"integer": {NUMBER}, "timestamp": {NUMBER}, "string": {STRING}, "boolean": {TRUE, FALSE}}


def wrong_types(member: Member) -> Iterator[tuple[Any, str]]:
    """Yield a value of each JSON type that the member does not take, and how it is refused."""
    kind = member.shape.type_name
    if kind == "list":
        yield {}, STRUCTURE
        yield from ((value, "Expected list or null") for value, _ in SCALARS)
        return
    yield [], LIST
    yield [example(member.shape)], LIST
    if kind in {"structure", "map"}:
        yield from ((value, "Expected null") for value, _ in SCALARS)
        return
    yield {}, STRUCTURE
    for value, token in SCALARS:
        if token not in FITS.get(kind, ()):
            yield value, f"{token} can not be converted to {TARGETS[kind]}"


WRONG_TYPES = [(member, value, text) for member in each_kind() for value, text in wrong_types(member)]


@pytest.mark.inferred(
    reason="The texts are measured of Athena, on the same framework, some with another scalar or target"
    " type; there the text's member is `Message`."
)
@pytest.mark.parametrize(
    ("member", "value", "text"),
    WRONG_TYPES,
    ids=[f"{member}-{json.dumps(value)[:12]!a}" for member, value, _ in WRONG_TYPES],
)
def test_wrong_type(server: Server, member: Member, value: Any, text: str) -> None:
    """A member of the wrong JSON type is refused before any constraint is looked at."""
    assert read(server.call(member.operation, body_with(member, value))) == Refusal(
        400, "SerializationException", text
    )


@pytest.mark.inferred(reason="Measured of Athena, on the same framework.")
def test_types_come_before_constraints(server: Server) -> None:
    """Where one member breaks a constraint and another has the wrong type, the type is refused."""
    body = {"NumberOfBytes": 0, "CustomKeyStoreId": 5}
    expected = "NUMBER_VALUE can not be converted to a String"
    assert read(server.call("GenerateRandom", body)) == Refusal(400, "SerializationException", expected)


@pytest.mark.inferred(reason="Measured of Athena, on the same framework.")
@pytest.mark.parametrize(("number", "length"), [(b"1.9", 1), (b"32.0", 32), (b"1024.9", 1024), (b"1e2", 100)])
def test_float_is_truncated(server: Server, number: bytes, length: int) -> None:
    """A float where an integer belongs loses its fraction."""
    answer = server.call("GenerateRandom", b'{"NumberOfBytes":' + number + b"}")
    assert answer.status == 200
    assert len(json.loads(answer.body)["Plaintext"]) == (length + 2) // 3 * 4


@pytest.mark.inferred(reason="Jackson and most JSON parsers do so.")
@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b'{"NumberOfBytes":1,"NumberOfBytes":9}', 9),
        (b'{"NumberOfBytes":0,"NumberOfBytes":3}', 3),
        (b'{"NumberOfBytes":"x","NumberOfBytes":6}', 6),
        (b'{"NumberOfBytes":4.5,"X":1,"NumberOfBytes":12.5}', 12),
    ],
)
def test_last_duplicate_wins(server: Server, body: bytes, length: int) -> None:
    """Of a member that is given twice the last value counts, and the others are not looked at."""
    answer = server.call("GenerateRandom", body)
    assert answer.status == 200
    assert len(json.loads(answer.body)["Plaintext"]) == (length + 2) // 3 * 4


@pytest.mark.inferred(reason="Measured of Athena, on the same framework.")
@pytest.mark.parametrize("value", [None, 1, "x", [1], {"a": {"NumberOfBytes": 0}}, "9" * 5000])
@pytest.mark.parametrize("name", ["numberOfBytes", "NUMBEROFBYTES", "DryRun", "", "__type", "NumberOfBytes "])
def test_unknown_member_is_ignored(server: Server, name: str, value: Any) -> None:
    """A member that the model does not know is ignored, and names are compared with their case."""
    assert server.call("GenerateRandom", {name: value, "NumberOfBytes": 1}).status == 200


@pytest.mark.inferred(
    reason="The joining is recorded of Lambda, EventBridge and API Gateway; the order is the model's."
)
def test_several_violations(server: Server) -> None:
    """All violations stand in one message, joined by semicolons; their number leads."""
    body: JsonObject = {
        "KeyStorePassword": "secret",
        "CustomKeyStoreType": "HSM",
        "XksProxyAuthenticationCredential": {"AccessKeyId": "short"},
    }
    at = "at '{}' failed to satisfy constraint: Member must "
    credential = "xksProxyAuthenticationCredential"
    assert read(server.call("CreateCustomKeyStore", body)) == broken(
        6,
        f"Value null {at.format('customKeyStoreName')}not be null",
        f"Value {at.format('keyStorePassword')}have length greater than or equal to 7",
        f"Value 'HSM' {at.format('customKeyStoreType')}satisfy enum value set:"
        " [AWS_CLOUDHSM, EXTERNAL_KEY_STORE]",
        f"Value {at.format(f'{credential}.accessKeyId')}have length greater than or equal to 20",
        f"Value {at.format(f'{credential}.accessKeyId')}satisfy regular expression pattern: ^[A-Z2-7]+$",
        f"Value null {at.format(f'{credential}.rawSecretAccessKey')}not be null",
    )


SENSITIVE = [member for member in every_member("string") if member.constraints.get("sensitive")]


@pytest.mark.aws_documented
@pytest.mark.parametrize("member", SENSITIVE, ids=str)
def test_sensitive_value_is_never_shown(server: Server, member: Member) -> None:
    """A sensitive value that breaks a constraint is in neither the answer nor the log."""
    canary = "canary!" * 12
    answer = server.call(member.operation, body_with(member, canary))
    assert answer.status == 400
    assert b"canary!" not in answer.body
    assert "canary!" not in server.log


@pytest.mark.inferred(reason="Java's patterns, which the model's are, take digits to be ASCII.")
def test_digits_are_ascii(server: Server) -> None:
    """A pattern's digits are the ten of ASCII."""
    body = {"CustomKeyStoreId": "cks-0", "XksProxyUriPath": "/kms/xks/v\u0661"}
    assert "satisfy regular expression" in read(server.call("UpdateCustomKeyStore", body)).message
