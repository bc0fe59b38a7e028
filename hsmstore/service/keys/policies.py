"""Key policies: GetKeyPolicy, PutKeyPolicy, ListKeyPolicies, and what a policy must be.

A policy is kept and given back as it came. Who may do what by it is looked at with `--iam` (`service/iam`).
The default policy is that of the KMS Developer Guide.
"""

from dataclasses import replace
from typing import Annotated, Final

from hsmstore.domain.errors import (
    LimitExceededException,
    MalformedPolicyDocumentException,
    NotFoundException,
)
from hsmstore.domain.identifiers import Scope, root_arn
from hsmstore.domain.limits import POLICY_BYTES
from hsmstore.domain.policy.document import Kind, parse
from hsmstore.domain.policy.patterns import Malformed
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
        call.recording.commit(unit)
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
    try:
        parsed = parse(policy, Kind.KEY, DEFAULT)
    except Malformed as error:
        raise MalformedPolicyDocumentException(error.reason) from error
    if not bypass and not parsed.lets_somebody_of(scope.account, "kms:PutKeyPolicy"):
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


def _require_default(name: str | None) -> None:
    if name not in {None, DEFAULT}:
        raise NotFoundException("No such policy exists")
