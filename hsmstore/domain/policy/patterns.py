"""Texts of a policy that are compared with texts of a request: wildcards and policy variables.

Rules (IAM User Guide, "Policy variables and tags" and "Resource"):

- `*` stands for any characters and `?` for one; in an ARN neither reaches past a colon.
- `${name}` stands for the request's value of the condition key, `${name, 'text'}` has a default, and `${*}`,
  `${?}` and `${$}` are the characters themselves. What a variable stands for is no wildcard.
- A variable that has neither value nor default, or whose key has several values, matches nothing.
- Before Version 2012-10-17 there are no variables.
"""

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol

ARN_FIELDS: Final = 6


class Malformed(Exception):
    """A document that is no policy. The text says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Context(Protocol):
    """What is known of a request, by condition key in lower case: a text, or several of a multivalued key."""

    def get(self, key: str, /) -> str | tuple[str, ...] | None:
        """Return the key's value, or None where the request has none."""


class Wild(Enum):
    """A wildcard."""

    ANY = "*"
    ONE = "?"


class Variable(NamedTuple):
    """A policy variable: its condition key in lower case, and what stands in for it."""

    key: str
    default: str | None


Fixed = Sequence[str | Wild]
Tokens = Sequence[str | Wild | Variable]
Matcher = Callable[[str], object]
"""Tells by the truth of what it returns whether a text matches."""


class Pattern:
    """One text of a policy, made ready once; one with a variable is made again for each request."""

    __slots__ = ("_matcher", "_spelling", "_tokens")

    def __init__(self, tokens: Tokens, spelling: Callable[[Fixed], Matcher]) -> None:
        """Take what `read` returned, and what the characters mean: `exactly`, `as_glob`, `as_arn`..."""
        self._tokens = tokens
        self._spelling = spelling
        fixed = [token for token in tokens if not isinstance(token, Variable)]
        self._matcher = spelling(fixed) if len(fixed) == len(tokens) else None

    def matches(self, text: str, context: Context) -> bool:
        """Tell whether the text is what the pattern says."""
        if self._matcher is not None:
            return bool(self._matcher(text))
        filled = self._filled(context)
        return filled is not None and bool(self._spelling(filled)(text))

    def _filled(self, context: Context) -> Fixed | None:
        filled: list[str | Wild] = []
        for token in self._tokens:
            if isinstance(token, Variable):
                value = context.get(token.key)
                known = value if isinstance(value, str) else token.default if value is None else None
                if known is None:
                    return None
                filled.append(known)
            else:
                filled.append(token)
        return filled


_PART: Final = re.compile(r"\$\{(?P<variable>[^}]*)\}|\$\{|(?P<wild>[*?])")
_WILD: Final = re.compile(r"(?P<variable>(?!))|(?P<wild>[*?])")
_VARIABLE: Final = re.compile(r"\s*(?P<key>[^\s,'{}][^,'{}]*?)\s*(?:,\s*'(?P<default>[^']*)'\s*)?")


def read(text: str, *, variables: bool, wildcards: bool) -> Tokens:
    """Take a policy's text apart.

    Raises:
        Malformed: `${` begins nothing that is a variable.

    """
    tokens: list[str | Wild | Variable] = []
    end = 0
    for part in (_PART if variables else _WILD).finditer(text):
        if part["wild"] and not wildcards:
            continue
        tokens.append(text[end : part.start()])
        tokens.append(Wild(part["wild"]) if part["wild"] else _variable(part["variable"], text))
        end = part.end()
    tokens.append(text[end:])
    return [token for token in tokens if token != ""]


def _variable(inside: str | None, text: str) -> str | Variable:
    if inside in {"*", "?", "$"}:
        return inside
    variable = None if inside is None else _VARIABLE.fullmatch(inside)
    if variable is None:
        raise Malformed(f"The policy variable in {text!r} is not valid.")
    return Variable(variable["key"].lower(), variable["default"])


def exactly(tokens: Fixed) -> Matcher:
    """Match the text itself."""
    return _literal(tokens).__eq__


def ignoring_case(tokens: Fixed) -> Matcher:
    """Match the text in any case."""
    wanted = _literal(tokens).lower()
    return lambda text: text.lower() == wanted


def as_glob(tokens: Fixed) -> Matcher:
    """Match with wildcards that stand for any character."""
    return re.compile(_expression(tokens, "."), re.DOTALL).fullmatch


def as_glob_ignoring_case(tokens: Fixed) -> Matcher:
    """Match with wildcards, in any case: the names of actions."""
    return re.compile(_expression(tokens, "."), re.DOTALL | re.IGNORECASE).fullmatch


def as_arn(tokens: Fixed) -> Matcher:
    """Match an ARN, field by field. What has too few fields matches none; `*` matches everything."""
    fields = _fields(tokens)
    if fields == [[Wild.ANY]]:
        return _everything
    return _by_field(fields) if len(fields) == ARN_FIELDS else _nothing


def as_resource(tokens: Fixed) -> Matcher:
    """Match a resource as `as_arn` does, but let the fields that are missing stand for anything."""
    fields = _fields(tokens)
    if fields == [[Wild.ANY]]:
        return _everything
    missing: list[list[str | Wild]] = [[Wild.ANY]] * (ARN_FIELDS - len(fields))
    return _by_field([*fields, *missing])


def _everything(_: str) -> bool:
    return True


def _nothing(_: str) -> bool:
    return False


def _literal(tokens: Fixed) -> str:
    return "".join(token if isinstance(token, str) else token.value for token in tokens)


def _fields(tokens: Fixed) -> list[list[str | Wild]]:
    """Split at colons, into at most the fields of an ARN, the last of which may hold more of them."""
    fields: list[list[str | Wild]] = [[]]
    for token in tokens:
        if isinstance(token, Wild):
            fields[-1].append(token)
            continue
        first, *others = token.split(":", ARN_FIELDS - len(fields))
        fields[-1].append(first)
        fields.extend([other] for other in others)
    return [[token for token in field if token != ""] for field in fields]


def _by_field(fields: list[list[str | Wild]]) -> Matcher:
    *firsts, last = fields
    expressions = [_expression(field, "[^:]") for field in firsts]
    return re.compile(":".join([*expressions, _expression(last, ".")]), re.DOTALL).fullmatch


def _expression(tokens: Fixed, one: str) -> str:
    """Return a regular expression whose `one` is what a wildcard may stand for.

    What stands between two `*` is sought from the left and never again: `(?>` keeps a pattern of many
    wildcards from taking time by the power of their number.
    """
    runs = [""]
    for token in tokens:
        if token is Wild.ANY:
            runs.append("")
        else:
            runs[-1] += one if isinstance(token, Wild) else re.escape(token)
    if len(runs) == 1:
        return runs[0]
    first, *between, last = runs
    return first + "".join(f"(?>{one}*?{run})" for run in between if run) + f"{one}*{last}"
