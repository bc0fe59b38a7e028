"""Every condition operator, by a table: what the policy says, what the request has, whether it holds."""

from collections.abc import Mapping
from typing import Any

import pytest

from hsmstore.domain.policy.conditions import OPERATORS
from tests.policy.asking import NOTHING, Values, ask, identity

YES, NO = True, False
ARN = "arn:aws:iam::111122223333:role/team/builder"

TABLE: dict[str, list[tuple[Any, str, bool]]] = {
    "StringEquals": [
        ("a", "a", YES),
        ("a", "A", NO),
        ("a*", "ab", NO),
        ("a*", "a*", YES),
        (["b", "a"], "a", YES),
    ],
    "StringNotEquals": [("a", "a", NO), ("a", "A", YES), (["a", "b"], "b", NO), (["a", "b"], "c", YES)],
    "StringEqualsIgnoreCase": [("ABC", "aBc", YES), ("abc", "abd", NO)],
    "StringNotEqualsIgnoreCase": [("ABC", "aBc", NO), ("abc", "abd", YES)],
    "StringLike": [
        ("a*", "a", YES),
        ("a*c", "a/b:c", YES),
        ("a?c", "abc", YES),
        ("a?c", "ac", NO),
        ("A*", "abc", NO),
        ("*a*b*", "xaxxb", YES),
        ("*a*b*", "xbxxa", NO),
        ("a*a", "a", NO),
        ("*ab", "aab", YES),
        ("*", "x\ny", YES),
        ("[a-z]", "b", NO),
        ("a.c", "abc", NO),
    ],
    "StringNotLike": [("a*", "ab", NO), ("a*", "ba", YES), (["a*", "b*"], "bc", NO)],
    "NumericEquals": [
        (10, "10", YES),
        ("10", "10.0", YES),
        ("10", "11", NO),
        ("10", "ten", NO),
        ("0.1", ".1", YES),
    ],
    "NumericNotEquals": [("10", "10.0", NO), ("10", "11", YES), ("10", "ten", YES)],
    "NumericLessThan": [("10", "9", YES), ("10", "10", NO), ("10", "-11", YES), ("10", "9x", NO)],
    "NumericLessThanEquals": [("10", "10", YES), ("10", "10.1", NO)],
    "NumericGreaterThan": [("9", "10", YES), ("10", "10", NO), (1.5, "1.6", YES)],
    "NumericGreaterThanEquals": [("10", "10", YES), ("10", "9.9", NO)],
    "DateEquals": [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z", YES),
        ("2026-01-02T03:04:05Z", "1767323045", YES),
        ("2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", YES),
        ("2026-01-02", "2026-01-02T00:00:00Z", YES),
        ("2026-01", "2026-01-01", YES),
        ("2026", "2026-01-01T00:00Z", YES),
        ("2026-01-02", "2026-01-03", NO),
        ("2026-01-02", "soon", NO),
    ],
    "DateNotEquals": [("2026", "2026-01-01", NO), ("2026", "2027", YES)],
    "DateLessThan": [("2026-06-01", "2026-05-31T23:59:59.999Z", YES), ("2026-06-01", "2026-06-01", NO)],
    "DateLessThanEquals": [("2026-06-01", "2026-06-01", YES), ("2026-06-01", "2026-06-02", NO)],
    "DateGreaterThan": [("2026-06-01", "2026-06-01T00:00:01Z", YES), ("2026-06-01", "2026-06-01", NO)],
    "DateGreaterThanEquals": [("2026-06-01", "2026-06-01", YES), ("2026-06-01", "2026-05-31", NO)],
    "Bool": [("true", "true", YES), (True, "true", YES), (False, "true", NO), ("TRUE", "True", YES)],
    "BinaryEquals": [("QmluYXJ5", "QmluYXJ5", YES), ("QmluYXJ5", "QmluYXJ6", NO), ("QQ==", "nonsense!", NO)],
    "IpAddress": [
        ("203.0.113.0/24", "203.0.113.9", YES),
        ("203.0.113.0/24", "203.0.114.9", NO),
        ("203.0.113.9", "203.0.113.9", YES),
        ("2001:db8::/32", "2001:db8::1", YES),
        ("2001:db8::/32", "203.0.113.9", NO),
        ("0.0.0.0/0", "AWS Internal", NO),
        (["10.0.0.0/8", "203.0.113.0/24"], "203.0.113.9", YES),
        ("0.0.0.0/0", "10.0.0.0/8", NO),
    ],
    "NotIpAddress": [("203.0.113.0/24", "203.0.113.9", NO), ("203.0.113.0/24", "203.0.114.9", YES)],
    "ArnEquals": [
        (ARN, ARN, YES),
        ("arn:aws:iam::*:role/*", ARN, YES),
        ("arn:aws:iam::*:role/builder", ARN, NO),
        ("arn:*", ARN, NO),
        ("*", ARN, YES),
        ("arn:aws:*::111122223333:role/t?am/builder", ARN, YES),
        ("arn:aws:i*3:role/team/builder", ARN, NO),
        ("arn:aws:iam::111122223333:*", f"{ARN}:x:y", YES),
    ],
    "ArnLike": [
        ("arn:aws:iam::111122223333:role/*", ARN, YES),
        ("arn:aws:iam::444455556666:role/*", ARN, NO),
    ],
    "ArnNotEquals": [(ARN, ARN, NO), ("arn:aws:iam::*:user/*", ARN, YES)],
    "ArnNotLike": [("arn:aws:iam::*:role/*", ARN, NO), ("arn:aws:iam::*:user/*", ARN, YES)],
    "Null": [
        ("false", "anything", YES),
        ("true", "anything", NO),
        (False, "", YES),
        (["true", "false"], "x", YES),
    ],
}
ROWS = [(name, *row) for name, rows in TABLE.items() for row in rows]
NEGATED = {name for name in OPERATORS if "Not" in name}
SAMPLE: Mapping[str, Any] = {name: rows[0][0] for name, rows in TABLE.items()}


def holds(operator: str, wanted: Any, context: Values) -> bool:
    """Tell whether a statement with this one condition, on the key `aws:X`, allows."""
    return ask([identity({"Condition": {operator: {"aws:X": wanted}}})], context=context).allowed


def test_the_table_has_every_operator() -> None:
    """There is no operator without a row."""
    assert set(TABLE) == set(OPERATORS)


@pytest.mark.parametrize(("operator", "wanted", "given", "expected"), ROWS)
def test_an_operator(operator: str, wanted: Any, given: str, *, expected: bool) -> None:
    """An operator compares as IAM's documentation says; names of keys have no case."""
    assert holds(operator, wanted, {"aws:x": given}) is expected
    if operator != "Null":
        assert holds(f"{operator}IfExists", wanted, {"aws:x": given}) is expected
        assert holds(f"ForAnyValue:{operator}", wanted, {"aws:x": (given,)}) is expected
        assert holds(f"ForAllValues:{operator}", wanted, {"aws:x": (given,)}) is expected


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - {"Null"}))
def test_an_absent_key(operator: str) -> None:
    """Without the key only negated operators hold; with IfExists or ForAllValues any."""
    wanted = SAMPLE[operator]
    assert holds(operator, wanted, NOTHING) is (operator in NEGATED)
    assert holds(f"{operator}IfExists", wanted, NOTHING)
    assert holds(f"ForAllValues:{operator}", wanted, NOTHING)
    assert not holds(f"ForAnyValue:{operator}", wanted, NOTHING)
    assert holds(f"ForAnyValue:{operator}IfExists", wanted, NOTHING)


def test_null() -> None:
    """Null asks whether the key is absent."""
    assert holds("Null", "true", NOTHING)
    assert not holds("Null", "false", NOTHING)


SETS = [
    ("ForAllValues:StringEquals", ["a", "b"], ("a", "b"), YES),
    ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), NO),
    ("ForAllValues:StringEquals", ["a"], (), YES),
    ("ForAllValues:StringEquals", ["a"], ("",), YES),
    ("ForAllValues:StringNotEquals", ["a", "b"], ("c", "d"), YES),
    ("ForAllValues:StringNotEquals", ["a", "b"], ("c", "a"), NO),
    ("ForAnyValue:StringEquals", ["a", "b"], ("c", "a"), YES),
    ("ForAnyValue:StringEquals", ["a", "b"], ("c", "d"), NO),
    ("ForAnyValue:StringEquals", ["a"], (), NO),
    ("ForAnyValue:StringNotEquals", ["a"], ("a", "b"), YES),
    ("ForAnyValue:StringNotEquals", ["a"], ("a",), NO),
    ("ForAnyValue:StringLike", "alias/*", ("x", "alias/y"), YES),
    ("StringEquals", ["a", "b"], ("a", "b"), NO),
    ("StringNotEquals", ["c"], ("a", "b"), NO),
    ("StringEquals", ["a"], ("a",), YES),
]


@pytest.mark.parametrize(("operator", "wanted", "given", "expected"), SETS)
def test_several_values(operator: str, wanted: Any, given: tuple[str, ...], *, expected: bool) -> None:
    """Set operators ask of all values of the request, or of one; without one, several values fit nothing."""
    assert holds(operator, wanted, {"aws:x": given}) is expected


def test_all_conditions_must_hold() -> None:
    """Operators and keys are joined by and; the values of one by or."""
    condition = {"StringEquals": {"aws:a": ["1", "2"], "aws:b": "3"}, "Bool": {"aws:c": "true"}}
    policies = [identity({"Condition": condition})]
    whole = {"aws:a": "2", "aws:b": "3", "aws:c": "true"}
    assert ask(policies, context=whole).allowed
    for key in whole:
        assert not ask(policies, context={**whole, key: "4"}).allowed


def test_a_pattern_of_many_wildcards_is_quick() -> None:
    """A pattern that a backtracking matcher would take years for is decided; this test ends."""
    pattern, text = "*a" * 40 + "*b", "a" * 20_000
    assert not holds("StringLike", pattern, {"aws:x": text})
    assert not holds("ArnLike", f"arn:{pattern}:::::", {"aws:x": f"arn:{text}:::::"})
    assert holds("StringLike", "*a" * 40 + "*", {"aws:x": text})


VARIABLES = [
    ("StringEquals", "${aws:username}", "alice", YES),
    ("StringEquals", "${AWS:UserName}", "alice", YES),
    ("StringLike", "home/${aws:username}/*", "home/alice/x", YES),
    ("StringLike", "home/${aws:username}/*", "home/bob/x", NO),
    ("StringEquals", "${aws:PrincipalTag/cost center}", "red", YES),
    ("StringEquals", "${aws:PrincipalTag/none}", "", NO),
    ("StringNotEquals", "${aws:PrincipalTag/none}", "x", YES),
    ("StringEquals", "${aws:PrincipalTag/none, 'blue'}", "blue", YES),
    ("StringEquals", "${aws:username, 'blue'}", "alice", YES),
    ("StringEquals", "${aws:PrincipalTag/none,''}", "", YES),
    ("StringLike", "${aws:PrincipalTag/star}", "anything", NO),
    ("StringLike", "${aws:PrincipalTag/star}", "*", YES),
    ("StringLike", "a${*}c", "a*c", YES),
    ("StringLike", "a${*}c", "abc", NO),
    ("StringLike", "${?}${$}*", "?$x", YES),
    ("StringEquals", "${aws:TagKeys}", "a", NO),
    ("ArnLike", "arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::1:user/alice", YES),
    ("ArnLike", "${aws:PrincipalArn}", "arn:aws:iam::111122223333:user/alice", YES),
]


@pytest.mark.parametrize(("operator", "wanted", "given", "expected"), VARIABLES)
def test_policy_variables(operator: str, wanted: str, given: str, *, expected: bool) -> None:
    """A variable is the request's value, or its default; never a wildcard; nothing where there is none."""
    known: Values = {
        "aws:username": "alice",
        "aws:principalarn": "arn:aws:iam::111122223333:user/alice",
        "aws:principaltag/cost center": "red",
        "aws:principaltag/star": "*",
        "aws:tagkeys": ("a",),
    }
    assert holds(operator, wanted, {**known, "aws:x": given}) is expected


def test_no_variables_before_2012() -> None:
    """In a policy of the older Version, which is also what stands without one, `${` is text."""
    condition = {"StringLike": {"aws:x": "${aws:username}-${*}"}}
    for version in (None, "2008-10-17"):
        policies = [identity({"Condition": condition}, version=version)]
        assert ask(policies, context={"aws:x": "${aws:username}-${any}", "aws:username": "alice"}).allowed
        assert not ask(policies, context={"aws:x": "alice-*", "aws:username": "alice"}).allowed
