"""Whether a call is allowed: after it is known who calls and which keys are named, before it is served.

In mode `warn` everything is allowed; what would have been denied is logged, once for each permission.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

from hsmstore.domain.errors import AccessDeniedException
from hsmstore.domain.identifiers import root_arn
from hsmstore.domain.key import Grant
from hsmstore.domain.policy.decision import (
    Asked,
    Guard,
    IamMode,
    Reason,
    Verdict,
    decide,
    denial,
    fitting_grant,
)
from hsmstore.domain.policy.document import Kind, Policy, parse
from hsmstore.domain.policy.patterns import Malformed
from hsmstore.domain.policy.principals import Subject
from hsmstore.domain.policy.usage import Permission
from hsmstore.domain.principal import Caller
from hsmstore.service.iam.facts import Facts
from hsmstore.service.iam.needs import Need, needs_of
from hsmstore.service.world import Call, World

log = logging.getLogger(__name__)

STANDINGS_MAX: Final = 10_000


class Standing(NamedTuple):
    """A caller with identity policies ready to be asked; `who` is the account and the name."""

    caller: Caller
    subject: Subject
    who: tuple[str, str]
    policies: Sequence[Policy]


class Authorization:
    """Decides about calls. Safe to share between threads."""

    def __init__(self, world: World, mode: IamMode) -> None:
        """Take the world, and whether to refuse or to warn."""
        self._world = world
        self._enforces = mode is IamMode.ENFORCE
        self._standings: dict[str | None, Standing] = {}

    def authorize(self, operation: str, members: Any, call: Call) -> Call:
        """Return the call, with the keys that were found only for this and what a Recipient attests.

        Raises:
            AccessDeniedException: a permission is missing; the texts are recorded from KMS.
            AwsError: as `needs_of` and `Facts.get`.

        """
        for need in needs_of(operation, members, call, self._world):
            if need.key is not None and need.name is not None and need.name not in call.keys:
                call = call._replace(keys={**call.keys, need.name: need.key})
            facts = Facts(self._world, call, members, need)
            self._require(need, facts)
            if facts.attested is not None:
                call = call._replace(attested=facts.attested)
        return call

    def _require(self, need: Need, facts: Facts) -> None:
        caller = facts.call.caller
        standing = self._standings.get(caller.access_key_id)
        if standing is None or standing.caller is not caller:
            standing = self._stand(caller)
        if standing is None:
            self._refuse(need, _anonymous(need))
            return
        asked = Asked(need.action, need.resource, standing.subject, facts)
        verdict = decide(asked, standing.policies, None if need.key is None else _guard(need))
        if not verdict.allowed and need.key is not None:
            verdict = self._with_grants(asked, standing, need, verdict)
        news = self._world.usage.note(standing.who, Permission(need.action, need.resource), verdict)
        if not verdict.allowed and (self._enforces or news):
            self._refuse(need, denial(asked, verdict), verdict.by)

    def _with_grants(self, asked: Asked, standing: Standing, need: Need, verdict: Verdict) -> Verdict:
        """Decide again, with the grants that could let the caller in; an explicit deny stands."""
        if need.key is None or verdict.reason in {Reason.IDENTITY_DENIES, Reason.KEY_DENIES}:
            return verdict
        operation = need.action.removeprefix("kms:")
        if need.retired is not None:
            grants = _who_may_retire(need.retired)
        else:
            with self._world.registry.reading() as unit:
                grants = [
                    grant
                    for name in sorted(asked.subject.own_names | asked.subject.account_names)
                    for grant in unit.grants(need.key.scope, key_id=need.key.id, grantee=name)
                ]
        grant = fitting_grant(grants, asked.subject, operation, need.context)
        return verdict if grant is None else decide(asked, standing.policies, _guard(need, grant))

    def _refuse(self, need: Need, text: str, by: str | None = None) -> None:
        if self._enforces:
            raise AccessDeniedException(
                text, internal=None if by is None else f"{need.action}: denied by {by}"
            )
        log.warning("would be denied: %s%s", text, "" if by is None else f" ({by})")

    def _stand(self, caller: Caller) -> Standing | None:
        """Read a caller's policies, once for each time that the principals are read."""
        principal = caller.principal
        if principal is None or caller.arn is None:
            return None
        if len(self._standings) >= STANDINGS_MAX:
            self._standings.clear()
        policies = [
            parse(text, Kind.IDENTITY, f"{principal.name}/{number}")
            for number, text in enumerate(principal.policies, start=1)
        ]
        standing = Standing(
            caller, Subject(caller.arn, principal.arn), (principal.account, principal.name), policies
        )
        self._standings[caller.access_key_id] = standing
        return standing


@lru_cache(maxsize=512)
def _key_policy(text: str) -> Policy:
    """Read a key's policy; one that is none, from before they were read, allows nothing."""
    try:
        return parse(text, Kind.KEY, "default")
    except Malformed as error:
        log.warning("a key policy allows nothing: %s", error.reason)
        return Policy("default", ())


def _guard(need: Need, grant: Grant | None = None) -> Guard:
    """Return what guards the key. Who retires a grant is let in by the grant alone; a policy may deny it."""
    assert need.key is not None  # noqa: S101  # only keys are guarded
    policy = _key_policy(need.key.policy)
    if need.retired is not None:
        policy = Policy(
            policy.name, tuple(statement for statement in policy.statements if not statement.allows)
        )
    return Guard(need.key.scope.account, policy, grant)


def _who_may_retire(grant: Grant) -> list[Grant]:
    """Return the grant as it stands for whoever may end it: grantee, retiring principal, the account."""
    retiring = [] if grant.retiring_principal is None else [grant.retiring_principal]
    for_others = [
        replace(
            grant,
            grantee_principal=name,
            operations=("RetireGrant",),
            context_equals=None,
            context_subset=None,
        )
        for name in (*retiring, root_arn(grant.scope))
    ]
    own = replace(grant, context_equals=None, context_subset=None)
    return [own, *for_others]


def _anonymous(need: Need) -> str:
    return (
        f"User: anonymous is not authorized to perform: {need.action} on resource: {need.resource}"
        f" because no identity-based policy allows the {need.action} action"
    )
