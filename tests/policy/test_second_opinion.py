"""Random policies and requests: the evaluator says what a slow and obvious second one does."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from hsmstore.domain.policy.decision import Asked, Guard, decide
from hsmstore.domain.policy.document import Kind, parse
from hsmstore.domain.policy.principals import Subject
from tests.policy import slow
from tests.policy.asking import ACCOUNT, ALICE, KEY, ROLE, ROOT, SESSION

SUBJECTS = {
    ALICE: {"arn": ALICE, "role": ALICE, "account": ACCOUNT, "root": ROOT},
    SESSION: {"arn": SESSION, "role": ROLE, "account": ACCOUNT, "root": ROOT},
}
ACTIONS = st.sampled_from(
    ["kms:Decrypt", "kms:Encrypt", "kms:D*", "KMS:?ncrypt", "*", "kms:*", "s3:*", "kms:Dec*pt*"]
)
FIELD = st.sampled_from(
    ["*", "kms", "k*", "us-east-1", "us-*-1", ACCOUNT, "1*", "?" * 12, "${aws:Region}", "", "aws"]
)
NAME = st.sampled_from(
    ["key/*", f"key/{KEY[-36:]}", "alias/x", "*", "key/1?34*", "key/${aws:username, 'none'}"]
)
ARNS = st.one_of(
    st.just("*"),
    st.just(KEY),
    st.builds("arn:{}:{}:{}:{}:{}".format, FIELD, FIELD, FIELD, FIELD, NAME),
    st.builds("arn:{}:{}".format, FIELD, FIELD),
)
TEXT = st.lists(
    st.sampled_from(
        ["a", "A", "b", "*", "?", "ab", ":", "${aws:username}", "${aws:none, 'a'}", "${aws:none}", "${*}"]
    ),
    max_size=6,
).map("".join)
NUMBER = st.sampled_from(["1", "1.0", "2", "-3", "2.5"])
GIVEN = st.text("abAB*?:", max_size=8)
STRINGS = ["StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnLike"]
NEGATED = ["StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike", "ArnNotLike"]
NUMBERS = ["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"]
PREFIX = st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"])
SUFFIX = st.sampled_from(["", "", "IfExists"])


def values(one: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """One value, or a list of some."""
    return one | st.lists(one, min_size=1, max_size=3)


def block(
    names: list[str], keys: list[str], value: st.SearchStrategy[str]
) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions with these operators on these keys."""
    operators = st.builds("{}{}{}".format, PREFIX, st.sampled_from(names), SUFFIX)
    return st.dictionaries(
        operators, st.dictionaries(st.sampled_from(keys), values(value), max_size=2), max_size=2
    )


CONDITIONS = st.builds(
    lambda *blocks: {name: keys for one in blocks for name, keys in one.items()},
    block(STRINGS + NEGATED, ["aws:One", "aws:several", "aws:None"], TEXT),
    block(NUMBERS, ["aws:Number", "aws:numbers", "aws:none"], NUMBER),
    st.dictionaries(
        st.just("Null"),
        st.dictionaries(
            st.sampled_from(["aws:one", "aws:none"]), st.sampled_from(["true", "false"]), max_size=2
        ),
        max_size=1,
    ),
)
PRINCIPALS = st.one_of(
    st.just("*"),
    values(
        st.sampled_from([ROOT, ACCOUNT, ALICE, ROLE, SESSION, "*", f"arn:aws:iam::{ACCOUNT}:user/bob"])
    ).map(lambda names: {"AWS": names}),
    st.just({"Service": "s3.amazonaws.com"}),
)


@st.composite
def statements(draw: st.DrawFn, *, key: bool) -> dict[str, Any]:
    """Return a statement."""
    return {
        "Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"])),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(values(ACTIONS)),
        "Resource": draw(values(ARNS)),
        **({"Principal": draw(PRINCIPALS)} if key else {}),
        **({"Condition": draw(CONDITIONS)} if draw(st.booleans()) else {}),
    }


def policies(*, key: bool) -> st.SearchStrategy[dict[str, Any]]:
    """Policies of a few statements."""
    return st.fixed_dictionaries(
        {
            "Version": st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"]),
            "Statement": st.lists(statements(key=key), min_size=1, max_size=3),
        }
    )


CONTEXTS = st.fixed_dictionaries(
    {"aws:region": st.just("us-east-1")},
    optional={
        "aws:one": GIVEN | st.sampled_from([KEY, "arn:a:b::b:A"]),
        "aws:several": st.lists(GIVEN.filter(bool), min_size=1, max_size=3).map(tuple),
        "aws:number": NUMBER,
        "aws:numbers": st.lists(NUMBER, min_size=1, max_size=3).map(tuple),
        "aws:username": st.sampled_from(["a", "ab", "*", "1234abcd-12ab-34cd-56ef-1234567890ab"]),
    },
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(list(SUBJECTS)),
    st.sampled_from(["kms:Decrypt", "kms:Encrypt"]),
    CONTEXTS,
    st.lists(policies(key=False), max_size=2),
    st.none() | policies(key=True),
)
def test_two_evaluators_agree(
    arn: str, action: str, context: Mapping[str, Any], own: list[dict[str, Any]], key: dict[str, Any] | None
) -> None:
    """Whatever the policies say, both let the same requests through."""
    expected = slow.allowed(SUBJECTS[arn], action, KEY, context, own, key)
    identity = [parse(json.dumps(policy), Kind.IDENTITY, "own") for policy in own]
    guard = None if key is None else Guard(ACCOUNT, parse(json.dumps(key), Kind.KEY, "default"))
    verdict = decide(Asked(action, KEY, Subject(arn), context), identity, guard)
    event(verdict.reason)
    assert verdict.allowed is expected
