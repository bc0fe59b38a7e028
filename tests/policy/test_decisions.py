"""How statements, policies and grants come together."""

from collections.abc import Mapping
from typing import Any

import pytest

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.key import Grant
from hsmstore.domain.policy.decision import Guard, Reason, Verdict, denial, fitting_grant
from hsmstore.domain.policy.principals import Subject
from tests.policy.asking import (
    ACCOUNT,
    ALICE,
    KEY,
    OTHER,
    ROLE,
    ROOT,
    SESSION,
    ask,
    identity,
    key_policy,
)

ALLOW = identity({"Action": "kms:Decrypt"})
SILENT = identity({"Action": "kms:Encrypt"})
DENY = identity({"Effect": "Deny", "Action": "kms:Decrypt", "Sid": "no"})
DELEGATING = key_policy({"Sid": "Enable IAM"})
ADMITTING = key_policy({"Principal": {"AWS": ALICE}})
CLOSED = key_policy({"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}})
DENYING = key_policy({}, {"Effect": "Deny", "Principal": "*", "Action": "kms:Dec*", "Sid": "Never"})
STRANGER = f"arn:aws:iam::{OTHER}:user/carol"
OPEN_TO_OTHER = key_policy({"Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}})
OPEN_TO_STRANGER = key_policy({"Principal": {"AWS": STRANGER}})

GRANT = Grant(
    id="a" * 64,
    scope=Scope(ACCOUNT, "us-east-1"),
    key_id=KEY.rpartition("/")[2],
    created_at=0.0,
    grantee_principal=ALICE,
    operations=("Decrypt",),
)

CASES: Mapping[str, tuple[list[Any], Any, str, Reason, str | None]] = {
    "nothing says anything": ([], None, ALICE, Reason.IDENTITY_SILENT, None),
    "another action": ([SILENT], None, ALICE, Reason.IDENTITY_SILENT, None),
    "an identity policy": ([SILENT, ALLOW], None, ALICE, Reason.IDENTITY_ALLOWS, "own/1"),
    "deny wins": ([ALLOW, DENY], None, ALICE, Reason.IDENTITY_DENIES, "own/no"),
    "root needs none": ([], None, ROOT, Reason.ROOT, None),
    "nobody is above root": ([DENY], None, ROOT, Reason.ROOT, None),
    "the key delegates": ([ALLOW], DELEGATING, ALICE, Reason.IDENTITY_ALLOWS, "own/1"),
    "delegation alone": ([], DELEGATING, ALICE, Reason.IDENTITY_SILENT, None),
    "root, let in": ([], DELEGATING, ROOT, Reason.KEY_ALLOWS, "default/Enable IAM"),
    "root, locked out": ([], ADMITTING, ROOT, Reason.KEY_SILENT, None),
    "the key admits": ([], ADMITTING, ALICE, Reason.KEY_ALLOWS, "default/1"),
    "the key admits, own denies": ([DENY], ADMITTING, ALICE, Reason.IDENTITY_DENIES, "own/no"),
    "the key is silent": ([ALLOW], CLOSED, ALICE, Reason.KEY_SILENT, None),
    "the key denies": ([ALLOW], DENYING, ALICE, Reason.KEY_DENIES, "default/Never"),
    "the key denies root": ([], DENYING, ROOT, Reason.KEY_DENIES, "default/Never"),
    "a grant": ([], Guard(ACCOUNT, CLOSED, GRANT), ALICE, Reason.GRANT_ALLOWS, f"grant/{'a' * 64}"),
    "a grant, and a deny": ([], Guard(ACCOUNT, DENYING, GRANT), ALICE, Reason.KEY_DENIES, "default/Never"),
    "a grant, and own deny": ([DENY], Guard(ACCOUNT, CLOSED, GRANT), ALICE, Reason.IDENTITY_DENIES, "own/no"),
    "a stranger, one side": ([], OPEN_TO_STRANGER, STRANGER, Reason.IDENTITY_SILENT, None),
    "a stranger, other side": ([ALLOW], DELEGATING, STRANGER, Reason.KEY_SILENT, None),
    "a stranger, both sides": ([ALLOW], OPEN_TO_STRANGER, STRANGER, Reason.IDENTITY_ALLOWS, "own/1"),
    "a strange account": ([ALLOW], OPEN_TO_OTHER, STRANGER, Reason.IDENTITY_ALLOWS, "own/1"),
    "a strange root": ([], OPEN_TO_OTHER, f"arn:aws:iam::{OTHER}:root", Reason.ROOT, None),
}


@pytest.mark.parametrize(("policies", "guard", "subject", "reason", "by"), CASES.values(), ids=CASES)
def test_a_decision(policies: list[Any], guard: Any, subject: str, reason: Reason, by: str | None) -> None:
    """Identity policies, key policy and grants decide together, as KMS documents."""
    allowing = {Reason.IDENTITY_ALLOWS, Reason.KEY_ALLOWS, Reason.GRANT_ALLOWS, Reason.ROOT}
    assert ask(policies, guard, subject=subject) == Verdict(reason in allowing, reason, by)


PRINCIPALS: list[tuple[Any, str, bool]] = [
    ("*", ALICE, True),
    ({"AWS": "*"}, SESSION, True),
    ({"AWS": ALICE}, ALICE, True),
    ({"AWS": [STRANGER, ALICE]}, ALICE, True),
    ({"AWS": ROLE}, SESSION, True),
    ({"AWS": SESSION}, SESSION, True),
    ({"AWS": SESSION.replace("run-1", "run-2")}, SESSION, False),
    ({"AWS": f"{ROLE}-2"}, SESSION, False),
    ({"AWS": f"arn:aws:iam::{ACCOUNT}:user/*"}, ALICE, False),
    ({"AWS": f"arn:aws:iam::{ACCOUNT}:user/Alice"}, ALICE, False),
    ({"Service": "s3.amazonaws.com"}, ALICE, False),
]


@pytest.mark.parametrize(("principal", "subject", "expected"), PRINCIPALS)
def test_whom_a_principal_names(principal: Any, subject: str, *, expected: bool) -> None:
    """Principals are named by their ARN without wildcards, a session by its role too, everybody by a star."""
    verdict = ask([], key_policy({"Principal": principal}), subject=subject)
    assert verdict.allowed is expected


def test_a_role_with_a_path() -> None:
    """The ARN of a session has no path; what is known of its role says whom a policy names."""
    role = f"arn:aws:iam::{ACCOUNT}:role/teams/red/builder"
    assert Subject(SESSION, role=role).own_names == {SESSION, role}
    assert Subject(SESSION).own_names == {SESSION, ROLE}


@pytest.mark.parametrize("number", [ACCOUNT, ROOT])
def test_an_account_names_all_of_it(number: str) -> None:
    """To allow an account leaves it to identity policies; to deny it denies everybody in it."""
    allowing, denying = (key_policy({"Effect": e, "Principal": {"AWS": number}}) for e in ("Allow", "Deny"))
    assert ask([], allowing).reason is Reason.IDENTITY_SILENT
    assert ask([ALLOW], allowing).allowed
    for subject in (ALICE, SESSION, ROOT):
        assert ask([ALLOW], denying, subject=subject).reason is Reason.KEY_DENIES
    assert ask([ALLOW], denying, subject=STRANGER).reason is Reason.KEY_SILENT


@pytest.mark.parametrize(
    ("spared", "subject", "denied"),
    [
        ([ROOT, ALICE], ALICE, False),
        ([ALICE], ALICE, True),
        ([ROOT], ALICE, True),
        ([ROOT], ROOT, False),
        ([ROOT, ROLE, SESSION], SESSION, False),
        ([ROOT, ROLE], SESSION, True),
    ],
)
def test_everybody_but(spared: list[str], subject: str, *, denied: bool) -> None:
    """NotPrincipal spares whom it names in full: account, role and session."""
    policy = key_policy({}, {"Effect": "Deny", "NotPrincipal": {"AWS": spared}})
    assert (ask([ALLOW], policy, subject=subject).reason is Reason.KEY_DENIES) is denied


ACTIONS = [
    ("kms:Decrypt", True),
    ("KMS:decrypt", True),
    ("kms:*", True),
    ("*", True),
    ("kms:De?rypt", True),
    ("kms:D*t", True),
    ("kms:Encrypt", False),
    ("s3:*", False),
    ("kms:Decryp", False),
]


@pytest.mark.parametrize(("action", "expected"), ACTIONS)
def test_actions(action: str, *, expected: bool) -> None:
    """Actions have no case and two wildcards; NotAction is the rest."""
    assert ask([identity({"Action": ["kms:Sign", action]})]).allowed is expected
    assert ask([identity({"NotAction": ["kms:Sign", action]})]).allowed is not expected


RESOURCES = [
    (KEY, True),
    ("*", True),
    ("arn:aws:kms:*:*:key/*", True),
    (f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234????-12ab-*", True),
    (f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234ABCD-*", False),
    (f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/*", False),
    ("arn:aws:kms:us-east-1:*", True),
    ("arn:aws:kms", True),
    ("arn:*:key/*", False),
    (f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/*", False),
    (f"arn:aws:kms:${{aws:RequestedRegion}}:{ACCOUNT}:key/*", True),
    ("arn:aws:kms:${aws:Nothing}:*:key/*", False),
]


@pytest.mark.parametrize(("resource", "expected"), RESOURCES)
def test_resources(resource: str, *, expected: bool) -> None:
    """ARNs are compared field by field; a wildcard reaches past no colon, what is missing is one."""
    context = {"aws:requestedregion": "us-east-1"}
    assert ask([identity({"Resource": resource})], context=context).allowed is expected
    assert ask([identity({"NotResource": resource})], context=context).allowed is not expected
    guard = key_policy({"Principal": "*", "Resource": resource})
    assert ask([], guard, context=context).allowed is expected


@pytest.mark.parametrize(
    ("changes", "context", "fits"),
    [
        ({}, {}, True),
        ({"operations": ("Encrypt",)}, {}, False),
        ({"grantee_principal": STRANGER}, {}, False),
        ({"grantee_principal": None, "grantee_service": "s3.amazonaws.com"}, {}, False),
        ({"context_equals": {"a": "1"}}, {"a": "1"}, True),
        ({"context_equals": {"a": "1"}}, {"a": "1", "b": "2"}, False),
        ({"context_subset": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"context_subset": {"a": "1"}}, {"A": "1"}, False),
        ({"context_subset": {"a": "1"}}, {}, False),
        ({"context_subset": {"a": "1"}}, None, True),
    ],
)
def test_grants(changes: Mapping[str, Any], context: Mapping[str, str] | None, *, fits: bool) -> None:
    """A grant is for its grantee, its operations, and the encryption contexts that fit."""
    members = {name: getattr(GRANT, name) for name in GRANT.__slots__}
    grant = Grant(**{**members, **changes})
    found = fitting_grant([grant], Subject(ALICE), "Decrypt", context)
    assert (found == grant) is fits


def test_a_grant_to_a_role_or_an_account() -> None:
    """A grant to a role is for its sessions; one to an account leaves it to identity policies."""
    members = {name: getattr(GRANT, name) for name in GRANT.__slots__}
    to_role, to_account = (Grant(**{**members, "grantee_principal": name}) for name in (ROLE, ROOT))
    assert fitting_grant([to_account, to_role], Subject(SESSION), "Decrypt", {}) == to_role
    assert fitting_grant([to_role, to_account], Subject(ALICE), "Decrypt", {}) == to_account
    guard = Guard(ACCOUNT, CLOSED, to_account)
    assert ask([], guard).reason is Reason.IDENTITY_SILENT
    assert ask([ALLOW], guard).reason is Reason.IDENTITY_ALLOWS


DENIALS = {
    Reason.IDENTITY_SILENT: "because no identity-based policy allows the kms:Decrypt action",
    Reason.KEY_SILENT: "because no resource-based policy allows the kms:Decrypt action",
    Reason.IDENTITY_DENIES: "with an explicit deny in an identity-based policy",
    Reason.KEY_DENIES: "with an explicit deny in a resource-based policy",
}


@pytest.mark.parametrize("reason", DENIALS)
def test_the_text_of_a_denial(reason: Reason) -> None:
    """The texts are those recorded from KMS."""
    start = f"User: {SESSION} is not authorized to perform: kms:Decrypt on resource: {KEY} "
    assert (
        denial(SESSION, "kms:Decrypt", KEY, Verdict(allowed=False, reason=reason)) == start + DENIALS[reason]
    )


def test_nobody() -> None:
    """A caller has the ARN of somebody."""
    with pytest.raises(ValueError, match="is not the ARN of a principal"):
        Subject("arn:aws:s3:::bucket")
