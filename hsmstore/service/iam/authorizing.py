"""Whether a call is allowed: after it is known who calls and which keys are named, before it is served.

In mode `warn` everything is allowed. What would have been denied stands in the record of each call, and once
for each permission in the log.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from hsmstore.domain.errors import AccessDeniedException
from hsmstore.domain.identifiers import root_arn
from hsmstore.domain.key import Grant, KmsKey
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

    def allows_promptly(self, operation: str, members: Any, call: Call) -> bool:
        """Tell whether a call that needs no key is allowed, by what is in memory.

        What is not, is to be authorized where it may wait: a document may have to be looked at, and the
        call's record tells what is missing.
        """
        standing = self._standing(call.caller)
        if standing is None or members.recipient is not None:
            return False
        need = Need(f"kms:{operation}")
        verdict = self._verdict(standing, need, Facts(self._world, call, members, need))
        if verdict.allowed:
            self._world.usage.note(standing.who, Permission(need.action, need.resource), verdict)
        return verdict.allowed

    def require_own(self, operation: str, members: Any, naming: Iterable[str], call: Call) -> None:
        """Refuse a request about another account's key; `naming` are its members that may name keys.

        Raises:
            AccessDeniedException: there is one, and policies are enforced; it is foreign.

        """
        for member in naming if self._enforces else ():
            name = getattr(members, member) or ""
            arn = _KEY_ARN.fullmatch(name)
            if arn and arn["region"] == call.scope.region and arn["account"] != call.scope.account:
                action = f"kms:{operation}{_SIDES.get(member, '')}"
                who = call.caller.arn or _ANONYMOUS
                verdict = Verdict(allowed=False, reason=Reason.KEY_OF_OTHERS)
                raise AccessDeniedException(denial(who, action, name, verdict)).elsewhere()

    def authorize(self, operation: str, members: Any, call: Call) -> Call:
        """Return the call, with the keys that were found only for this and what a Recipient attests.

        Raises:
            AccessDeniedException: a permission is missing; the texts are recorded from KMS.
            AwsError: as `needs_of` and `Facts.get`.

        """
        standing = self._standing(call.caller)
        lacking: list[str] = []
        for need in needs_of(operation, members, call, self._world):
            if need.key is not None and need.name is not None and need.name not in call.keys:
                call = msgspec.structs.replace(call, keys={**call.keys, need.name: need.key})
            facts = Facts(self._world, call, members, need)
            text = self._denial(standing, need, facts)
            if text is not None:
                lacking.append(text)
            if facts.attested is not None:
                call = msgspec.structs.replace(call, attested=facts.attested)
        if lacking:
            call.recording.add({"wouldBeDenied": lacking})
        return call

    def _denial(self, standing: Standing | None, need: Need, facts: Facts) -> str | None:
        """Return what `enforce` would refuse with, and does; None where the permission is there."""
        verdict = self._verdict(standing, need, facts)
        who = _NOBODY if standing is None else standing.who
        news = self._world.usage.note(who, Permission(need.action, need.resource), verdict)
        if verdict.allowed:
            return None
        arn = _ANONYMOUS if standing is None else standing.subject.arn
        text = denial(arn, need.action, need.resource, verdict)
        by = "" if verdict.by is None else f" ({verdict.by})"
        if self._enforces:
            raise AccessDeniedException(text, internal=f"{need.action}: denied{by}" if by else None)
        if news:
            log.warning("would be denied: %s%s", text, by)
        return text

    def _verdict(self, standing: Standing | None, need: Need, facts: Facts) -> Verdict:
        """Decide; by the key's grants too, if that may help. An explicit deny stands."""
        if standing is None:
            return Verdict(allowed=False, reason=Reason.IDENTITY_SILENT)
        asked = Asked(need.action, need.resource, standing.subject, facts)
        if need.key is None:
            return decide(asked, standing.policies)
        verdict = decide(asked, standing.policies, _guard(need.key, need))
        if verdict.allowed or verdict.reason in _FINAL:
            return verdict
        grants = self._grants(need.key, need, asked.subject, facts)
        grant = fitting_grant(grants, asked.subject, need.action.removeprefix("kms:"), need.context)
        return verdict if grant is None else decide(asked, standing.policies, _guard(need.key, need, grant))

    def _grants(self, key: KmsKey, need: Need, subject: Subject, facts: Facts) -> list[Grant]:
        """Return the grants that may let the caller in.

        By a grant with CreateGrant no operation can be granted that it has not itself (KMS Developer Guide,
        "Granting CreateGrant permission").
        """
        if need.retired is not None:
            return _who_may_retire(need.retired)
        granted = {str(operation) for operation in facts.member("operations") or ()}
        with self._world.registry.reading() as unit:
            return [
                grant
                for name in sorted(subject.own_names | subject.account_names)
                for grant in unit.grants(key.scope, key_id=key.id, grantee=name)
                if granted.issubset(grant.operations)
            ]

    def _standing(self, caller: Caller) -> Standing | None:
        """Return how a caller stands; None of one that nobody knows.

        Policies are read once for each time that the principals are.
        """
        standing = self._standings.get(caller.access_key_id)
        if standing is not None and standing.caller is caller:
            return standing
        principal = caller.principal
        if principal is None or caller.arn is None:
            return None
        if len(self._standings) >= STANDINGS_MAX:
            self._standings.clear()
        policies = [
            parse(text, Kind.IDENTITY, f"{principal.name}/{number}")
            for number, text in enumerate(principal.policies, start=1)
        ]
        subject = Subject(caller.arn, principal.arn)
        standing = Standing(caller, subject, (principal.account, principal.name), policies)
        self._standings[caller.access_key_id] = standing
        return standing


_ANONYMOUS: Final = "anonymous"
_NOBODY: Final = ("", _ANONYMOUS)
_KEY_ARN: Final = re.compile(r"arn:[^:]+:kms:(?P<region>[^:]+):(?P<account>[0-9]{12}):(?:key|alias)/.+")
_SIDES: Final = MappingProxyType({"source_key_id": "From", "destination_key_id": "To"})
"""Of ReEncrypt."""
_FINAL: Final = frozenset({Reason.IDENTITY_DENIES, Reason.KEY_DENIES})


@lru_cache(maxsize=512)
def _key_policy(text: str) -> Policy:
    """Read a key's policy; one that is none, from before they were read, allows nothing."""
    try:
        return parse(text, Kind.KEY, "default")
    except Malformed as error:
        log.warning("a key policy allows nothing: %s", error.reason)
        return Policy("default", ())


def _guard(key: KmsKey, need: Need, grant: Grant | None = None) -> Guard:
    """Return what guards the key. Who retires a grant is let in by the grant alone; a policy may deny it."""
    policy = _key_policy(key.policy)
    if need.retired is not None:
        denying = tuple(statement for statement in policy.statements if not statement.allows)
        policy = Policy(policy.name, denying)
    return Guard(key.scope.account, policy, grant)


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
