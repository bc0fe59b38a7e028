"""Policy documents: JSON in, statements ready to be asked out.

Grammar: IAM User Guide, "Grammar of the IAM JSON policy language". It is read strictly, so that a policy
that says something else than was meant is refused rather than followed.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from hsmstore.domain.policy.conditions import Comparison, Condition, Quantifier, conditions
from hsmstore.domain.policy.patterns import (
    Context,
    Fixed,
    Malformed,
    Matcher,
    Pattern,
    as_glob_ignoring_case,
    as_resource,
    read,
)
from hsmstore.domain.policy.principals import INVALID, Admission, Principals, Subject, principals


class Kind(StrEnum):
    """What a policy hangs on."""

    IDENTITY = "identity"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Patterns:
    """An Action, a Resource, or the inverse of one."""

    patterns: tuple[Pattern, ...]
    inverted: bool

    def include(self, text: str, context: Context) -> bool:
        """Tell whether the element covers the text."""
        return any(pattern.matches(text, context) for pattern in self.patterns) is not self.inverted


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. `name` is its Sid, or its number from 1; `principals` are None in an identity policy."""

    name: str
    allows: bool
    actions: Patterns
    resources: Patterns
    principals: Principals | None
    conditions: tuple[Condition, ...]

    def admission(self, subject: Subject, resource: str, context: Context) -> Admission:
        """Tell how the statement bears on the caller; whether it does on the action is known before."""
        admission = Admission.DIRECTLY if self.principals is None else self.principals.admission(subject)
        if admission is not Admission.NONE and self.resources.include(resource, context):
            return admission if self._holds(context) else Admission.NONE
        return Admission.NONE

    def _holds(self, context: Context) -> bool:
        return all(condition.holds(context) for condition in self.conditions)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy by name. It remembers which statements bear on an action; there are not many actions."""

    name: str
    statements: tuple[Statement, ...]
    _bearing: dict[str, tuple[Statement, ...]] = field(default_factory=dict, compare=False, repr=False)

    def bearing_on(self, action: str) -> tuple[Statement, ...]:
        """Return the statements about the action, those that deny first."""
        found = self._bearing.get(action)
        if found is None:
            about = [
                statement for statement in self.statements if statement.actions.include(action, _NO_CONTEXT)
            ]
            found = self._bearing[action] = tuple(sorted(about, key=lambda statement: statement.allows))
        return found

    def lets_somebody_of(self, account: str, action: str) -> bool:
        """Tell whether a statement allows the action to anybody of the account, on whatever conditions."""
        return any(
            statement.allows
            and (statement.principals is None or statement.principals.names_somebody_of(account))
            for statement in self.bearing_on(action)
        )


_NO_CONTEXT: Final[Mapping[str, str]] = {}
_NEWEST: Final = "2012-10-17"
_VERSIONS: Final = frozenset({"2008-10-17", _NEWEST})
_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_IN_IDENTITY: Final = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_IN_KEY: Final = _IN_IDENTITY | {"Principal", "NotPrincipal"}
_SID: Final = re.compile("[A-Za-z0-9]*")
_ACTION: Final = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+")
_OVERLY_PERMISSIVE: Final = "OverlyPermissiveCondition:"
_SINGLE: Final = {"kms:encryptioncontext:": "encryption context", "aws:requesttag/": "tag"}
_RESOURCE: Final = re.compile(r"\*|(?:arn|\*|\$\{).*", re.DOTALL)


def parse(text: str, kind: Kind, name: str) -> Policy:
    """Read a policy document.

    Raises:
        Malformed: it is none of this kind; the text says what is wrong, and in which statement.

    """
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The {kind} policy is not valid JSON.") from error
    if not isinstance(document, dict) or document.get("Statement", []) == []:
        raise Malformed(f"The {kind} policy has no Statement.")
    for element in document:
        if element not in _ELEMENTS:
            raise Malformed(f"A policy has no element {element!r}.")
    version = document.get("Version", "2008-10-17")
    if not isinstance(version, str) or version not in _VERSIONS:
        raise Malformed(f"A policy's Version must be one of {', '.join(sorted(_VERSIONS))}.")
    if not isinstance(document.get("Id", ""), str):
        raise Malformed("A policy's Id must be a string.")
    statements = [
        _numbered(element, number, kind, variables=version == _NEWEST)
        for number, element in enumerate(_listed(document["Statement"]), start=1)
    ]
    names = [statement.name for statement in statements]
    if kind is Kind.IDENTITY and len(set(names)) < len(names):
        raise Malformed("The Sids of an identity policy's statements must differ.")
    return Policy(name, tuple(statements))


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a member that is there twice: one of the two would be passed over."""
    found = dict(members)
    if len(found) < len(members):
        raise Malformed(f"A member is twice in one JSON object of {', '.join(map(repr, found))}.")
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _numbered(element: Any, number: int, kind: Kind, *, variables: bool) -> Statement:
    """Read a statement, and say of a mistake which one it is in, unless the text is AWS's."""
    try:
        return _statement(element, number, kind, variables=variables)
    except Malformed as error:
        if error.reason == INVALID or error.reason.startswith(_OVERLY_PERMISSIVE):
            raise
        raise Malformed(f"{error.reason} (Statement {number})") from error


def _statement(element: Any, number: int, kind: Kind, *, variables: bool) -> Statement:
    if not isinstance(element, dict):
        raise Malformed("A Statement must be a JSON object.")
    for member in element:
        if member not in (_IN_KEY if kind is Kind.KEY else _IN_IDENTITY):
            raise Malformed(f"In the {kind} policy, a statement has no element {member!r}.")
    if element.get("Effect") not in ("Allow", "Deny"):
        raise Malformed("A statement's Effect must be Allow or Deny.")
    asked = conditions(element.get("Condition", {}), variables=variables)
    if kind is Kind.KEY:
        _require_strict(asked)
    return Statement(
        name=_sid(element, number, kind),
        allows=element["Effect"] == "Allow",
        principals=_principals(element) if kind is Kind.KEY else None,
        actions=_patterns(element, "Action", _action),
        resources=_patterns(element, "Resource", lambda text: _resource(text, variables=variables)),
        conditions=asked,
    )


def _require_strict(asked: Sequence[Condition]) -> None:
    """Refuse what KMS does: to ask of all values of a key that has one lets in who has none.

    The text is that of the KMS Developer Guide, "Using set operators with condition keys".
    """
    for condition in asked:
        if isinstance(condition, Comparison) and condition.quantifier is Quantifier.ALL:
            for what in (what for prefix, what in _SINGLE.items() if condition.key.startswith(prefix)):
                raise Malformed(
                    f"{_OVERLY_PERMISSIVE} Using the ForAllValues set operator with a single-valued condition"
                    f" key matches requests without the specified {what} or with an unspecified {what}. To"
                    " fix, remove ForAllValues."
                )


def _sid(element: Mapping[str, Any], number: int, kind: Kind) -> str:
    """Return what the statement is called; a key policy's Sid may have spaces, as in AWS's own."""
    sid = element.get("Sid", "")
    if not isinstance(sid, str) or (kind is Kind.IDENTITY and _SID.fullmatch(sid) is None):
        raise Malformed("A statement's Sid must be made of letters and digits.")
    return sid or str(number)


def _principals(element: Mapping[str, Any]) -> Principals:
    name = _one_of(element, "Principal")
    if name == "NotPrincipal" and element["Effect"] == "Allow":
        raise Malformed("NotPrincipal goes with an Effect of Deny only.")
    return principals(element[name], inverted=name == "NotPrincipal")


def _patterns(element: Mapping[str, Any], name: str, pattern: Callable[[str], Pattern]) -> Patterns:
    found = _one_of(element, name)
    texts = _listed(element[found])
    if not texts or not all(isinstance(text, str) for text in texts):
        raise Malformed(f"{found} must be a string or a list of strings.")
    return Patterns(tuple(pattern(text) for text in texts), inverted=found != name)


def _one_of(element: Mapping[str, Any], name: str) -> str:
    """Return which of an element and its inverse there is."""
    inverse = f"Not{name}"
    if (name in element) == (inverse in element):
        raise Malformed(f"A statement must have either {name} or {inverse}.")
    return name if name in element else inverse


def _action(text: str) -> Pattern:
    if _ACTION.fullmatch(text) is None:
        raise Malformed(f"{text!r} is not an action, such as kms:Decrypt.")
    return _pattern(text, as_glob_ignoring_case, variables=False)


def _resource(text: str, *, variables: bool) -> Pattern:
    if _RESOURCE.fullmatch(text) is None:
        raise Malformed(f"{text!r} is neither an ARN nor *.")
    return _pattern(text, as_resource, variables=variables)


def _pattern(text: str, spelling: Callable[[Fixed], Matcher], *, variables: bool) -> Pattern:
    return Pattern(read(text, variables=variables, wildcards=True), spelling)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
