"""What each principal has needed, and the least identity policy that allows it.

It is bounded: of more principals, or more permissions of one, nothing more is kept.
"""

from collections import defaultdict
from typing import Any, Final, NamedTuple

from hsmstore.domain.policy.decision import Reason, Verdict

PRINCIPALS_MAX: Final = 1000
PERMISSIONS_MAX: Final = 1000
"""Of one principal."""


class Permission(NamedTuple):
    """An action on a resource."""

    action: str
    resource: str


class Usage:
    """The permissions that have been needed since the process started, by account and name of a principal.

    A dictionary's own operations are atomic: threads share it without a lock.
    """

    def __init__(self) -> None:
        self._needed: dict[tuple[str, str], dict[Permission, Verdict]] = {}

    def note(self, who: tuple[str, str], permission: Permission, verdict: Verdict) -> bool:
        """Keep what was needed and what became of it; tell whether that is news."""
        needed = self._needed.get(who)
        if needed is None:
            if len(self._needed) >= PRINCIPALS_MAX:
                return False
            needed = self._needed.setdefault(who, {})
        if needed.get(permission) == verdict:
            return False
        if permission not in needed and len(needed) >= PERMISSIONS_MAX:
            return False
        needed[permission] = verdict
        return True

    def of(self, who: tuple[str, str]) -> dict[Permission, Verdict]:
        """Return what a principal has needed, and what was decided last."""
        return dict(self._needed.get(who, {}))


def least_policy(needed: dict[Permission, Verdict]) -> dict[str, Any]:
    """Return the least identity policy by which all of it is allowed, as far as one can.

    What a key policy or a grant allows by itself is left out. One statement holds the actions that are needed
    on the same resources.
    """
    resources: dict[str, set[str]] = defaultdict(set)
    for permission, verdict in needed.items():
        if verdict.reason not in _WITHOUT_POLICY:
            resources[permission.action].add(permission.resource)
    actions: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for action, found in sorted(resources.items()):
        actions[tuple(sorted(found))].append(action)
    statements = [
        {"Effect": "Allow", "Action": together, "Resource": list(on)} for on, together in actions.items()
    ]
    return {"Version": "2012-10-17", "Statement": statements}


_WITHOUT_POLICY: Final = frozenset({Reason.KEY_ALLOWS, Reason.GRANT_ALLOWS, Reason.ROOT})
