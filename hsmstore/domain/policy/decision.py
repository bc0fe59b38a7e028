"""Whether a request is allowed, and by what.

Rules (KMS Developer Guide, "Troubleshooting AWS KMS permissions"; IAM User Guide, "Policy evaluation logic"):

- A statement that denies, in whichever policy, wins.
- What has no key is allowed by the caller's identity policies. Nobody's stand above an account's root.
- A key of the caller's own account: its key policy must allow the caller, or a grant must, or the key policy
  must allow the account and an identity policy the caller.
- A key of another account: its key policy or a grant must allow the caller or the account, *and* an identity
  policy the caller.
- A grant allows one of its operations to its grantee, if the encryption context fits its constraints.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from hsmstore.domain.key import Grant
from hsmstore.domain.policy.document import Policy
from hsmstore.domain.policy.patterns import Context
from hsmstore.domain.policy.principals import Admission, Subject


class IamMode(StrEnum):
    """What becomes of policies: nothing at all, what they deny is logged, or it is refused."""

    OFF = "off"
    WARN = "warn"
    ENFORCE = "enforce"


class Asked(NamedTuple):
    """One permission that a request needs: `kms:Decrypt`, say, on a key's ARN, or on `*`."""

    action: str
    resource: str
    subject: Subject
    context: Context


class Guard(NamedTuple):
    """What stands before a key: whose it is, its policy, and the grant that lets the caller in."""

    account: str
    policy: Policy
    grant: Grant | None = None


class Reason(StrEnum):
    """Why a request is allowed or denied."""

    IDENTITY_ALLOWS = "an identity-based policy allows it"
    KEY_ALLOWS = "the key policy allows it"
    GRANT_ALLOWS = "a grant allows it"
    ROOT = "the account's root may do everything"
    IDENTITY_DENIES = "an identity-based policy denies it"
    KEY_DENIES = "the key policy denies it"
    IDENTITY_SILENT = "no identity-based policy allows it"
    KEY_SILENT = "the key policy does not allow it"
    KEY_OF_OTHERS = "the key is another account's"


class Verdict(NamedTuple):
    """The decision. `by` names the policy and its statement, or the grant; None where there is none."""

    allowed: bool
    reason: Reason
    by: str | None = None


def decide(asked: Asked, identity: Sequence[Policy], guard: Guard | None = None) -> Verdict:
    """Decide by the caller's identity policies and, where there is a key, by what guards it."""
    if asked.subject.is_root:
        ours: Verdict | None = Verdict(allowed=True, reason=Reason.ROOT)
    else:
        ours = _by_identity(asked, identity)
        if ours is not None and not ours.allowed:
            return ours
    if guard is None:
        return ours or _IDENTITY_SILENT
    admission, keys = _by_key(asked, guard)
    if keys is not None and not keys.allowed:
        return keys
    if admission is Admission.NONE:
        return Verdict(allowed=False, reason=Reason.KEY_SILENT)
    if admission is Admission.DIRECTLY and guard.account == asked.subject.account:
        assert keys is not None  # noqa: S101  # somebody let the caller in
        return keys
    return ours or _IDENTITY_SILENT


def denial(arn: str, action: str, resource: str, verdict: Verdict) -> str:
    """Return the text of AccessDeniedException to a caller, as recorded from KMS."""
    cause = _CAUSES[verdict.reason].format(action)
    return f"User: {arn} is not authorized to perform: {action} on resource: {resource} {cause}"


def fitting_grant(
    grants: Iterable[Grant], subject: Subject, operation: str, encryption_context: Mapping[str, str] | None
) -> Grant | None:
    """Return a grant that allows the operation, such as `Decrypt`: to the caller, or to the account.

    A constraint on the encryption context is one on operations that have one (KMS API Reference,
    GrantConstraints); `encryption_context` is None for the others.
    """
    names = subject.own_names | subject.account_names
    for grant in sorted(grants, key=lambda grant: grant.grantee_principal not in subject.own_names):
        fits = grant.grantee_principal in names and operation in grant.operations
        if fits and (encryption_context is None or _constraints_fit(grant, encryption_context)):
            return grant
    return None


_IDENTITY_SILENT: Final = Verdict(allowed=False, reason=Reason.IDENTITY_SILENT)
_CAUSES: Final[Mapping[Reason, str]] = {
    Reason.IDENTITY_DENIES: "with an explicit deny in an identity-based policy",
    Reason.KEY_DENIES: "with an explicit deny in a resource-based policy",
    Reason.IDENTITY_SILENT: "because no identity-based policy allows the {} action",
    Reason.KEY_SILENT: "because no resource-based policy allows the {} action",
    Reason.KEY_OF_OTHERS: "because the resource does not exist in this Region, no resource-based policies"
    " allow access, or a resource-based policy explicitly denies access",
}


def _by_identity(asked: Asked, policies: Sequence[Policy]) -> Verdict | None:
    """Return what the identity policies say; None where they say nothing."""
    allowed: Verdict | None = None
    for policy in policies:
        for statement in policy.bearing_on(asked.action):
            if statement.allows and allowed is not None:
                break  # those that deny came before
            if statement.admission(asked.subject, asked.resource, asked.context) is not Admission.NONE:
                by = f"{policy.name}/{statement.name}"
                if not statement.allows:
                    return Verdict(allowed=False, reason=Reason.IDENTITY_DENIES, by=by)
                allowed = Verdict(allowed=True, reason=Reason.IDENTITY_ALLOWS, by=by)
    return allowed


def _by_key(asked: Asked, guard: Guard) -> tuple[Admission, Verdict | None]:
    """Return how far the key's side lets the caller in, and by what."""
    best, verdict = Admission.NONE, None
    for statement in guard.policy.bearing_on(asked.action):
        if best is Admission.DIRECTLY:
            break
        admission = statement.admission(asked.subject, asked.resource, asked.context)
        by = f"{guard.policy.name}/{statement.name}"
        if admission is not Admission.NONE and not statement.allows:
            return Admission.NONE, Verdict(allowed=False, reason=Reason.KEY_DENIES, by=by)
        if admission > best:
            best, verdict = admission, Verdict(allowed=True, reason=Reason.KEY_ALLOWS, by=by)
    if best is not Admission.DIRECTLY and guard.grant is not None:
        named = guard.grant.grantee_principal in asked.subject.own_names
        verdict = Verdict(allowed=True, reason=Reason.GRANT_ALLOWS, by=f"grant/{guard.grant.id}")
        return (Admission.DIRECTLY if named else Admission.BY_ACCOUNT), verdict
    return best, verdict


def _constraints_fit(grant: Grant, context: Mapping[str, str]) -> bool:
    if grant.context_equals is not None and grant.context_equals != context:
        return False
    return grant.context_subset is None or grant.context_subset.items() <= context.items()
