"""Short ways to make policies and to ask them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hsmstore.domain.policy.decision import Asked, Guard, Verdict, decide
from hsmstore.domain.policy.document import Kind, Policy, parse
from hsmstore.domain.policy.principals import Subject

ACCOUNT = "111122223333"
OTHER = "444455556666"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/builder"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/builder/run-1"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"

Values = Mapping[str, str | tuple[str, ...]]
NOTHING: Values = {}


def document(*statements: Mapping[str, Any], version: str | None = "2012-10-17") -> str:
    """Return a policy document."""
    members = {} if version is None else {"Version": version}
    return json.dumps({**members, "Statement": list(statements)})


def identity(*statements: Mapping[str, Any], version: str | None = "2012-10-17") -> Policy:
    """Return an identity policy; a statement allows everything, but for what it says."""
    whole = [_whole(statement, {"Action": "*", "Resource": "*"}) for statement in statements]
    return parse(document(*whole, version=version), Kind.IDENTITY, "own")


def key_policy(*statements: Mapping[str, Any]) -> Policy:
    """Return a key policy; a statement allows the account everything, but for what it says."""
    rest = {"Action": "kms:*", "Resource": "*", "Principal": {"AWS": ROOT}}
    return parse(document(*(_whole(statement, rest) for statement in statements)), Kind.KEY, "default")


def ask(
    policies: Sequence[Policy] = (),
    guard: Policy | Guard | None = None,
    *,
    action: str = "kms:Decrypt",
    subject: str = ALICE,
    resource: str = KEY,
    context: Values = NOTHING,
) -> Verdict:
    """Decide one request; the key, where there is one, is of the account `ACCOUNT`."""
    if isinstance(guard, Policy):
        guard = Guard(ACCOUNT, guard)
    return decide(Asked(action, resource, Subject(subject), context), policies, guard)


def _whole(statement: Mapping[str, Any], rest: Mapping[str, Any]) -> dict[str, Any]:
    given = {name.removeprefix("Not") for name in statement}
    return {"Effect": "Allow", **{k: v for k, v in rest.items() if k not in given}, **statement}
