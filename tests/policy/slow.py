"""A second evaluator: slow and obvious. It reads the JSON anew for each request and shares no code.

It knows part of the language: what `tests/policy/test_second_opinion.py` makes at random.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Values = Mapping[str, str | tuple[str, ...]]


def allowed(  # noqa: PLR0917  # a request has that many sides
    subject: Mapping[str, str],
    action: str,
    resource: str,
    context: Values,
    own: Sequence[Mapping[str, Any]],
    key: Mapping[str, Any] | None,
) -> bool:
    """Decide: `subject` has an `arn`, an `account`, its `root`, and its `role` (or again its ARN)."""
    mine = [s for policy in own for s in policy["Statement"] if speaks(s, policy, action, resource, context)]
    if any(statement["Effect"] == "Deny" for statement in mine):
        return False
    i_may = any(statement["Effect"] == "Allow" for statement in mine)
    if key is None:
        return i_may
    its = [s for s in key["Statement"] if speaks(s, key, action, resource, context)]
    for statement in its:
        if statement["Effect"] == "Deny" and (
            names(statement["Principal"], subject) or names_account(statement["Principal"], subject)
        ):
            return False
    allows = [statement["Principal"] for statement in its if statement["Effect"] == "Allow"]
    if any(names(principal, subject) for principal in allows):
        return True
    return i_may and any(names_account(principal, subject) for principal in allows)


def speaks(
    statement: Mapping[str, Any], policy: Mapping[str, Any], action: str, resource: str, context: Values
) -> bool:
    """Tell whether a statement is about the action, the resource and the circumstances."""
    if "Action" in statement:
        if not any(glob(one.lower(), action.lower()) for one in listed(statement["Action"])):
            return False
    elif any(glob(one.lower(), action.lower()) for one in listed(statement["NotAction"])):
        return False
    variables = policy["Version"] == "2012-10-17"
    if not any(
        arn(fill(one, context, variables=variables), resource) for one in listed(statement["Resource"])
    ):
        return False
    for operator, keys in statement.get("Condition", {}).items():
        for name, wanted in keys.items():
            if not condition(
                operator, listed(wanted), context.get(name.lower()), context, variables=variables
            ):
                return False
    return True


def condition(operator: str, wanted: Sequence[str], given: Any, context: Values, *, variables: bool) -> bool:
    """Tell whether one key fulfils one operator."""
    if operator == "Null":
        return ("true" if given is None else "false") in wanted
    quantifier, _, plain = operator.rpartition(":")
    optional = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    if given is None:
        return optional or quantifier == "ForAllValues" or (not quantifier and "Not" in plain)
    values = [given] if isinstance(given, str) else list(given)
    results = [one(plain, wanted, value, context, variables=variables) for value in values]
    if quantifier == "ForAllValues":
        return False not in results
    if quantifier == "ForAnyValue":
        return True in results
    return results == [True]


def one(operator: str, wanted: Sequence[str], given: str, context: Values, *, variables: bool) -> bool:
    """Tell whether one value of the request fulfils an operator."""
    fits = False
    for text in wanted:
        if operator.startswith("Numeric"):
            fits = fits or numbers(operator, float(given), float(text))
        else:
            fits = fits or texts(operator, fill(text, context, variables=variables), given)
    return fits is not ("Not" in operator)


def numbers(operator: str, given: float, wanted: float) -> bool:
    """Compare numbers; a negated operator as the plain one."""
    return {
        "NumericEquals": given == wanted,
        "NumericNotEquals": given == wanted,
        "NumericLessThan": given < wanted,
        "NumericGreaterThanEquals": given >= wanted,
    }[operator]


def texts(operator: str, wanted: list[str] | None, given: str) -> bool:
    """Compare texts; a negated operator as the plain one."""
    if wanted is None:
        return False
    literal = "".join(character[-1] for character in wanted)
    match operator.replace("Not", ""):
        case "StringEquals":
            return given == literal
        case "StringEqualsIgnoreCase":
            return given.lower() == literal.lower()
        case "StringLike":
            return glob(wanted, given)
        case "ArnLike":
            return arn(wanted, given, missing="nothing")
    raise ValueError(operator)


def fill(text: str, context: Values, *, variables: bool) -> list[str] | None:
    r"""Put in the variables; a character that is no wildcard has a \\ before it."""
    out: list[str] = []
    while text:
        if variables and text.startswith("${"):
            inside, _, text = text[2:].partition("}")
            name, comma, default = inside.partition(", ")
            value = name if name in {"*", "?", "$"} else context.get(name.lower())
            if value is None and comma:
                value = default.strip("'")
            if not isinstance(value, str):
                return None
            out += ["\\" + character for character in value]
        else:
            out.append(text[0])
            text = text[1:]
    return out


def glob(pattern: Sequence[str], text: str) -> bool:
    """Match wildcards by trying every length."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob(pattern[1:], text[length:]) for length in range(len(text) + 1))
    return bool(text) and (pattern[0] == "?" or pattern[0][-1] == text[0]) and glob(pattern[1:], text[1:])


def arn(pattern: list[str] | None, text: str, *, missing: str = "anything") -> bool:
    """Match an ARN field by field."""
    if pattern is None:
        return False
    if pattern == ["*"]:
        return True
    fields: list[list[str]] = [[]]
    for character in pattern:
        if character[-1] == ":" and len(fields) < 6:
            fields.append([])
        else:
            fields[-1].append(character)
    if len(fields) < 6 and missing == "nothing":
        return False
    fields += [["*"]] * (6 - len(fields))
    parts = text.split(":", 5)
    return len(parts) == 6 and all(glob(field, part) for field, part in zip(fields, parts, strict=True))


def names(principal: Any, subject: Mapping[str, str]) -> bool:
    """Tell whether a principal names the caller directly."""
    listing = ["*"] if principal == "*" else listed(principal.get("AWS", []))
    return any(name in {"*", subject["arn"], subject["role"]} for name in listing)


def names_account(principal: Any, subject: Mapping[str, str]) -> bool:
    """Tell whether a principal names the caller's account."""
    listing = [] if principal == "*" else listed(principal.get("AWS", []))
    return any(name in {subject["account"], subject["root"]} for name in listing)


def listed(value: Any) -> list[Any]:
    """Return a list of one for what is none."""
    return value if isinstance(value, list) else [value]
