"""Who calls, and whom a key policy's Principal element names.

Rules (IAM User Guide, "Principal" and "NotPrincipal"; KMS Developer Guide, "Default key policy"):

- The account (its number or its root's ARN) names everybody in it: to deny it is enough, to allow it only
  lets the account's own policies decide. `*` names everybody directly.
- A role names each of its sessions. There are no wildcards in ARNs.
- NotPrincipal spares only whom it names in full: the account, and the user, or the role and its session.
- Services, identity providers and unique ids name nobody who calls here.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any, Final

from hsmstore.domain.policy.patterns import Malformed

_PRINCIPAL: Final = re.compile(r"\*|[0-9]{12}|arn:aws[a-z-]*:(?:iam|sts)::[0-9]{12}:.+|[A-Z0-9]{16,}")
_ARN: Final = re.compile(
    r"arn:(?P<partition>[^:]*):(?:iam|sts)::(?P<account>[0-9]{12}):"
    r"(?P<resource>root|assumed-role/(?P<role>[^/]+)/(?P<session>.+)|.+)"
)
_OTHERS: Final = frozenset({"Service", "Federated", "CanonicalUser"})
INVALID: Final = "Policy contains a statement with one or more invalid principals."
"""Recorded from AWS."""


class Admission(IntEnum):
    """How a statement names the caller."""

    NONE = 0
    BY_ACCOUNT = 1
    DIRECTLY = 2


@dataclass(frozen=True)
class Subject:
    """Who calls, by ARN: an account's root, a user, or the session of a role.

    The ARN of a role that has a path cannot be known by its session, and is given as `role`.
    """

    arn: str
    role: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is no ARN of anybody.

        Raises:
            ValueError: it is none.

        """
        if _ARN.fullmatch(self.arn) is None:
            raise ValueError(f"{self.arn} is not the ARN of a principal")

    @cached_property
    def account(self) -> str:
        """The account's number."""
        return self._parts["account"]

    @cached_property
    def is_root(self) -> bool:
        """Whether it is the account's root, for whom identity policies are not looked at."""
        return self._parts["resource"] == "root"

    @cached_property
    def principal_arn(self) -> str:
        """`aws:PrincipalArn`: of a session that of its role."""
        if not self._parts["role"]:
            return self.arn
        return self.role or f"arn:{self._parts['partition']}:iam::{self.account}:role/{self._parts['role']}"

    @cached_property
    def own_names(self) -> frozenset[str]:
        """What names the caller in particular."""
        return frozenset({self.arn, self.principal_arn})

    @cached_property
    def account_names(self) -> frozenset[str]:
        """What names the caller's account."""
        return frozenset({self.account, f"arn:{self._parts['partition']}:iam::{self.account}:root"})

    @cached_property
    def _parts(self) -> re.Match[str]:
        parts = _ARN.fullmatch(self.arn)
        assert parts is not None  # noqa: S101  # __post_init__ saw it
        return parts


@dataclass(frozen=True, slots=True)
class Principals:
    """A Principal element, or a NotPrincipal."""

    names: frozenset[str]
    inverted: bool

    def admission(self, subject: Subject) -> Admission:
        """Tell how the element names the caller."""
        if self.inverted:
            spared = subject.own_names <= self.names and not self.names.isdisjoint(subject.account_names)
            return Admission.NONE if spared or "*" in self.names else Admission.DIRECTLY
        if "*" in self.names or not self.names.isdisjoint(subject.own_names):
            return Admission.DIRECTLY
        return Admission.NONE if self.names.isdisjoint(subject.account_names) else Admission.BY_ACCOUNT

    def names_somebody_of(self, account: str) -> bool:
        """Tell whether anybody of the account is among those named."""
        return not self.inverted and any(
            name in {"*", account} or f"::{account}:" in name for name in self.names
        )


def principals(element: Any, *, inverted: bool) -> Principals:
    """Read a Principal or a NotPrincipal element.

    Raises:
        Malformed: it names what could be nobody.

    """
    if element == "*":
        return Principals(frozenset("*"), inverted)
    if not isinstance(element, dict) or not element:
        raise Malformed(INVALID)
    names: set[str] = set()
    for kind, values in element.items():
        listed = values if isinstance(values, list) else [values]
        if not all(isinstance(value, str) for value in listed):
            raise Malformed(INVALID)
        if kind == "AWS":
            names.update(listed)
        elif kind not in _OTHERS:
            raise Malformed(INVALID)
    if not all(_PRINCIPAL.fullmatch(name) for name in names):
        raise Malformed(INVALID)
    return Principals(frozenset(names), inverted)
