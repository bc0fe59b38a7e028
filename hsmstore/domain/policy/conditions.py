"""Conditions: the operators of IAM's policy language.

Rules (IAM User Guide, "Condition operators" and "Set operators for multivalued context keys"):

- A policy's values are alternatives: a plain operator needs one that fits, a negated one that none does.
- Where the request lacks the key, a plain operator fails and a negated one holds; with `IfExists` both hold.
- `ForAllValues:` holds if each of the request's values does, also if there is none. `ForAnyValue:` needs one
  that does. Without either, a key that has several values fits nothing and no operator holds.
- `Null` asks whether the key is absent.
- A request's value that is no number, date or address, where one is compared, fits nothing.
"""

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from hsmstore.domain.policy.patterns import (
    Context,
    Fixed,
    Malformed,
    Matcher,
    Pattern,
    as_arn,
    as_glob,
    exactly,
    ignoring_case,
    read,
)

Test = Callable[[str, Context], bool]
"""Tells whether one value of the request fits one of the policy."""


class Condition(Protocol):
    """One operator on one key."""

    def holds(self, context: Context) -> bool:
        """Tell whether the request fulfils it."""


class Quantifier(StrEnum):
    """What an operator asks of the values of a multivalued key."""

    ALL = "ForAllValues"
    ANY = "ForAnyValue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An operator that compares."""

    key: str
    tests: tuple[Test, ...]
    negated: bool
    if_exists: bool
    quantifier: Quantifier | None

    def holds(self, context: Context) -> bool:
        """Tell whether the request fulfils it."""
        found = context.get(self.key)
        values = (found,) if isinstance(found, str) else found or ()
        if found is None or (self.quantifier is not None and not any(values)):
            return self._holds_without()
        if self.quantifier is Quantifier.ALL:
            return all(self._fits(value, context) for value in values)
        if self.quantifier is Quantifier.ANY or len(values) == 1:
            return any(self._fits(value, context) for value in values)
        return False

    def _holds_without(self) -> bool:
        if self.if_exists or self.quantifier is Quantifier.ALL:
            return True
        return self.negated and self.quantifier is None

    def _fits(self, value: str, context: Context) -> bool:
        return any(test(value, context) for test in self.tests) is not self.negated


@dataclass(frozen=True, slots=True)
class Presence:
    """The operator `Null`: `wanted` holds True where the key may be absent, False where it may be there."""

    key: str
    wanted: frozenset[bool]

    def holds(self, context: Context) -> bool:
        """Tell whether the request fulfils it."""
        return (context.get(self.key) is None) in self.wanted


class _Operator(NamedTuple):
    """How a policy's value becomes a test; the second argument tells whether there are variables."""

    test: Callable[[str, bool], Test]
    negated: bool = False


def conditions(element: Any, *, variables: bool) -> tuple[Condition, ...]:
    """Read a Condition element. All that it returns must hold.

    Raises:
        Malformed: an operator that there is not, or a value that the operator cannot compare with.

    """
    if not isinstance(element, dict):
        raise Malformed("A Condition must be a JSON object.")
    found: list[Condition] = []
    for name, keys in element.items():
        if not isinstance(keys, dict):
            raise Malformed(f"The condition operator {name} must have a JSON object of condition keys.")
        found.extend(_condition(name, key, _texts(name, key, keys[key]), variables) for key in keys)
    return tuple(found)


def _condition(name: str, key: str, values: Sequence[str], variables: bool) -> Condition:  # noqa: FBT001  # Version
    if name == "Null":
        return Presence(key.lower(), frozenset(_boolean(value) for value in values))
    prefix, colon, rest = name.partition(":")
    base = (rest if colon else prefix).removesuffix("IfExists")
    kind = _OPERATORS.get(base)
    if kind is None or (colon and prefix not in {*Quantifier}):
        raise Malformed(f"There is no condition operator {name}.")
    return Comparison(
        key=key.lower(),
        tests=tuple(kind.test(value, variables) for value in values),
        negated=kind.negated,
        if_exists=name.endswith("IfExists"),
        quantifier=Quantifier(prefix) if colon else None,
    )


def _texts(name: str, key: str, values: Any) -> list[str]:
    """Return a condition's values; JSON's numbers and booleans are written as texts."""
    listed = values if isinstance(values, list) else [values]
    if not listed:
        raise Malformed(f"The condition {name} on {key} has no value.")
    for value in listed:
        if not isinstance(value, str | int | float):
            raise Malformed(f"A value of the condition {name} on {key} is neither text, number nor boolean.")
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in listed]


def _text(spelling: Callable[[Fixed], Matcher], *, wildcards: bool) -> Callable[[str, bool], Test]:
    def test(value: str, variables: bool) -> Test:  # noqa: FBT001  # Version
        return Pattern(read(value, variables=variables, wildcards=wildcards), spelling).matches

    return test


def _compared(
    reading: Callable[[str], Any], compare: Callable[[Any, Any], bool]
) -> Callable[[str, bool], Test]:
    """Return how to test by reading both sides; `reading` raises ValueError."""

    def test(value: str, _: bool) -> Test:  # noqa: FBT001  # there are no variables here
        try:
            wanted = reading(value)
        except ValueError as error:
            raise Malformed(f"A condition cannot compare with {value!r}: {error}.") from error

        def fits(given: str, _: Context) -> bool:
            try:
                return compare(reading(given), wanted)
            except ValueError:
                return False

        return fits

    return test


_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DATE: Final = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>-[0-9]{2})?(?P<day>-[0-9]{2})?"
    r"(?P<time>T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?(?:Z|[+-][0-9]{2}:[0-9]{2}))?"
)


def _number(text: str) -> Decimal:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("it is not a number")
    return Decimal(text)


def _date(text: str) -> float:
    """Read a date of W3C's profile of ISO 8601, or seconds since the epoch; four digits are a year."""
    date = _DATE.fullmatch(text)
    if date is None:
        return float(_number(text))
    if (date["day"] and not date["month"]) or (date["time"] and not date["day"]):
        raise ValueError("it is not a date")
    whole = "".join([date["year"], date["month"] or "-01", date["day"] or "-01", date["time"] or ""])
    moment = datetime.fromisoformat(whole)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise Malformed(f"A condition cannot compare with {text!r}: it is neither true nor false.")
    return text.lower() == "true"


def _boolean_test(value: str, _: bool) -> Test:  # noqa: FBT001  # there are no variables here
    wanted = str(_boolean(value)).lower()
    return lambda given, _: given.lower() == wanted


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("it is not base64") from error


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=1024)  # the same few callers, and reading an address takes 5 µs
def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def _within(address: Network, network: Network) -> bool:
    """Tell whether a request's address, which is a network of one, is in the policy's network."""
    return address.num_addresses == 1 and address.network_address in network


_string = _text(exactly, wildcards=False)
_string_ignoring_case = _text(ignoring_case, wildcards=False)
_string_like = _text(as_glob, wildcards=True)
_arn = _text(as_arn, wildcards=True)
_address = _compared(_network, _within)

_OPERATORS: Final[Mapping[str, _Operator]] = {
    "StringEquals": _Operator(_string),
    "StringNotEquals": _Operator(_string, negated=True),
    "StringEqualsIgnoreCase": _Operator(_string_ignoring_case),
    "StringNotEqualsIgnoreCase": _Operator(_string_ignoring_case, negated=True),
    "StringLike": _Operator(_string_like),
    "StringNotLike": _Operator(_string_like, negated=True),
    "NumericEquals": _Operator(_compared(_number, operator.eq)),
    "NumericNotEquals": _Operator(_compared(_number, operator.eq), negated=True),
    "NumericLessThan": _Operator(_compared(_number, operator.lt)),
    "NumericLessThanEquals": _Operator(_compared(_number, operator.le)),
    "NumericGreaterThan": _Operator(_compared(_number, operator.gt)),
    "NumericGreaterThanEquals": _Operator(_compared(_number, operator.ge)),
    "DateEquals": _Operator(_compared(_date, operator.eq)),
    "DateNotEquals": _Operator(_compared(_date, operator.eq), negated=True),
    "DateLessThan": _Operator(_compared(_date, operator.lt)),
    "DateLessThanEquals": _Operator(_compared(_date, operator.le)),
    "DateGreaterThan": _Operator(_compared(_date, operator.gt)),
    "DateGreaterThanEquals": _Operator(_compared(_date, operator.ge)),
    "Bool": _Operator(_boolean_test),
    "BinaryEquals": _Operator(_compared(_octets, operator.eq)),
    "IpAddress": _Operator(_address),
    "NotIpAddress": _Operator(_address, negated=True),
    "ArnEquals": _Operator(_arn),
    "ArnLike": _Operator(_arn),
    "ArnNotEquals": _Operator(_arn, negated=True),
    "ArnNotLike": _Operator(_arn, negated=True),
}

OPERATORS: Final = (*_OPERATORS, "Null")
"""Every operator's name, without prefix and `IfExists`."""
