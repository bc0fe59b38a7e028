"""The least policy of a principal, by what its calls have needed."""

from typing import Any

from hsmstore.domain.errors import CloudHsmResourceNotFoundException
from hsmstore.domain.policy.usage import least_policy
from hsmstore.service.shapes import Request, Response
from hsmstore.service.world import Call, World


class SuggestPolicyRequest(Request, frozen=True):
    """A principal; `account` is the server's where it is left out."""

    name: str
    account: str | None = None


class Denied(Response, frozen=True):
    """A permission that the caller did not have, or would not have had, and why."""

    action: str
    resource: str
    reason: str
    by: str | None = None


class SuggestedPolicy(Response, frozen=True):
    """An identity policy, and what was denied: against what a key policy says no identity policy helps."""

    name: str
    account: str
    policy: dict[str, Any]
    denied: list[Denied]


def suggest_policy(request: SuggestPolicyRequest, call: Call, world: World) -> SuggestedPolicy:
    """Return the least identity policy that a principal's calls have needed since the server started.

    Raises:
        CloudHsmResourceNotFoundException: it has made no call that needed one, or nobody asks (`--iam off`).

    """
    account = request.account or call.scope.account
    needed = world.usage.of((account, request.name))
    if not needed:
        raise CloudHsmResourceNotFoundException(
            f"No call of {request.name} in account {account} is recorded; that takes --iam warn or enforce."
        )
    return SuggestedPolicy(
        name=request.name,
        account=account,
        policy=least_policy(needed),
        denied=[
            Denied(action=permission.action, resource=permission.resource, reason=str(reason), by=by)
            for permission, (allowed, reason, by) in sorted(needed.items())
            if not allowed
        ],
    )
