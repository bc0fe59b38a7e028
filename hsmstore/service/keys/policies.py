"""Key policies: GetKeyPolicy, PutKeyPolicy, ListKeyPolicies, and what a policy must be.

A policy is kept and given back as it came. Who may do what by it is not looked at; see the limits in
README.md. The default policy is that of the KMS Developer Guide.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final

import msgspec

from hsmstore.domain.errors import (
    LimitExceededException,
    MalformedPolicyDocumentException,
    NotFoundException,
)
from hsmstore.domain.identifiers import Scope, root_arn
from hsmstore.domain.limits import POLICY_BYTES
from hsmstore.service.keys.resolving import resolve
from hsmstore.service.shapes import (
    NOTHING,
    KeyId,
    Marker,
    Nothing,
    PageSize,
    Policy,
    Request,
    Response,
    text,
)
from hsmstore.service.world import Call, World

PolicyName = Annotated[str, text(1, 128, r"[\w]+")]

DEFAULT: Final = "default"
"""The only name that a key policy can have (KMS API Reference, GetKeyPolicy)."""


class GetKeyPolicyRequest(Request, frozen=True):
    """`GetKeyPolicyRequest`."""

    key_id: KeyId
    policy_name: PolicyName | None = None


class GetKeyPolicyResponse(Response, frozen=True):
    """`GetKeyPolicyResponse`."""

    policy: str
    policy_name: str


class PutKeyPolicyRequest(Request, frozen=True, kw_only=True):
    """`PutKeyPolicyRequest`."""

    key_id: KeyId
    policy_name: PolicyName | None = None
    policy: Policy
    bypass_policy_lockout_safety_check: bool | None = None


class ListKeyPoliciesRequest(Request, frozen=True):
    """`ListKeyPoliciesRequest`."""

    key_id: KeyId
    limit: PageSize | None = None
    marker: Marker | None = None


class ListKeyPoliciesResponse(Response, frozen=True, kw_only=True):
    """`ListKeyPoliciesResponse`."""

    policy_names: list[str]
    next_marker: str | None = None
    truncated: bool


def get_key_policy(request: GetKeyPolicyRequest, call: Call, world: World) -> GetKeyPolicyResponse:
    """Return a key's policy, as it was given.

    Raises:
        NotFoundException: no such key; or a PolicyName other than `default`.

    """
    key = resolve(world, call, request.key_id)
    _require_default(request.policy_name)
    return GetKeyPolicyResponse(policy=key.policy, policy_name=DEFAULT)


def put_key_policy(request: PutKeyPolicyRequest, call: Call, world: World) -> Nothing:
    """Replace a key's policy.

    Raises:
        NotFoundException: no such key; or a PolicyName other than `default`.
        MalformedPolicyDocumentException: it is no key policy, or would lock the account out.
        LimitExceededException: it is longer than 32 KB.

    """
    key = resolve(world, call, request.key_id)
    _require_default(request.policy_name)
    bypass = bool(request.bypass_policy_lockout_safety_check)
    policy = checked_policy(request.policy, call.scope, bypass=bypass)
    with world.registry.writing() as unit:
        unit.replace_key(key, replace(key, policy=policy))
    return NOTHING


def list_key_policies(request: ListKeyPoliciesRequest, call: Call, world: World) -> ListKeyPoliciesResponse:
    """List the names of a key's policies: the one there is. No page ends before it, so a Marker is ignored.

    Raises:
        NotFoundException: as documented.

    """
    resolve(world, call, request.key_id)
    return ListKeyPoliciesResponse(policy_names=[DEFAULT], truncated=False)


def default_policy(scope: Scope) -> str:
    """Return the policy of a key that was made without one, spaced as AWS does."""
    return _DEFAULT_POLICY.replace("ROOT", root_arn(scope))


def checked_policy(policy: str, scope: Scope, *, bypass: bool) -> str:
    """Return the policy, if a key may have it.

    Unless `bypass` is set, somebody in the account must be allowed to put another one.

    Raises:
        LimitExceededException: it is longer than 32 KB.
        MalformedPolicyDocumentException: it is no key policy, or would lock the account out.

    """
    if len(policy.encode()) > POLICY_BYTES:
        raise LimitExceededException(f"The key policy is longer than {POLICY_BYTES} bytes.")
    statements = list(_statements(policy))
    for statement in statements:
        _check(statement)
    if not bypass and not any(_lets_put(statement, scope) for statement in statements):
        raise MalformedPolicyDocumentException(
            "The new key policy will not allow you to update the key policy in the future."
        )
    return policy


_DEFAULT_POLICY: Final = """{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "ROOT"
    },
    "Action" : "kms:*",
    "Resource" : "*"
  } ]
}"""

_PUT: Final = "kms:putkeypolicy"
_PRINCIPAL: Final = re.compile(r"\*|[0-9]{12}|arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:.+|[A-Z0-9]{16,}")


def _require_default(name: str | None) -> None:
    if name not in {None, DEFAULT}:
        raise NotFoundException("No such policy exists")


def _statements(policy: str) -> Iterator[dict[str, Any]]:
    """Yield the policy's statements; one may stand without a list."""
    try:
        document = msgspec.json.decode(policy)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedPolicyDocumentException("The key policy is not valid JSON.") from error
    if not isinstance(document, dict) or "Statement" not in document:
        raise MalformedPolicyDocumentException("The key policy has no Statement.")
    for statement in _listed(document["Statement"]):
        if not isinstance(statement, dict):
            raise MalformedPolicyDocumentException("A Statement of the key policy is no JSON object.")
        yield statement


def _check(statement: dict[str, Any]) -> None:
    """Refuse a statement that lacks what every statement of a key policy has."""
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise MalformedPolicyDocumentException("A statement's Effect must be Allow or Deny.")
    for one, other in (("Principal", "NotPrincipal"), ("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            raise MalformedPolicyDocumentException(f"A statement must have either {one} or {other}.")
    principals = statement.get("Principal", statement.get("NotPrincipal"))
    if not all(_PRINCIPAL.fullmatch(principal) for principal in _aws(principals)):
        raise MalformedPolicyDocumentException(
            "Policy contains a statement with one or more invalid principals."
        )


def _lets_put(statement: dict[str, Any], scope: Scope) -> bool:
    """Tell whether the statement lets somebody of the account put another policy."""
    allowed = statement["Effect"] == "Allow" and "Action" in statement and "Principal" in statement
    if not allowed:
        return False
    ours = any(
        principal in {"*", scope.account} or f"::{scope.account}:" in principal
        for principal in _aws(statement["Principal"])
    )
    actions = (str(action).lower() for action in _listed(statement["Action"]))
    return ours and any(fnmatchcase(_PUT, action) for action in actions)


def _aws(principals: Any) -> list[str]:
    """Return the principals that are accounts, users and roles; services are not looked at."""
    if isinstance(principals, dict):
        principals = principals.get("AWS", [])
    return [str(principal) for principal in _listed(principals)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
