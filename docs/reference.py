"""The reference that is made from the code: operations.md, management.md, errors.md and limits.md."""

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from hsmstore.control.openapi import document
from hsmstore.domain import limits as limits_module
from hsmstore.domain.errors import ERRORS
from hsmstore.wire.operations import OPERATIONS

MADE_BY: Final = "<!-- Made by `make docs`; changes are lost. -->"
REFUSED: Final = "Refused: "
"""How an operation's docstring begins that is refused whoever asks."""


def operations() -> str:
    """Return the page of every operation of the wire: what is served, and what is refused whoever asks."""
    told = {row.name: (inspect.getdoc(row.serve) or "").partition("\n")[0] for row in OPERATIONS.values()}
    refused = {name: text.removeprefix(REFUSED) for name, text in told.items() if text.startswith(REFUSED)}
    served = {name: text for name, text in told.items() if name not in refused}
    reasons = ((f"`{name}`", text[0].upper() + text[1:]) for name, text in refused.items())
    return page(
        "# Operations",
        "What the endpoint answers as KMS. [Where it may differ](differences.md) from AWS, and"
        " [what is known](fidelity.md), have pages of their own;"
        " so has what each state allows, of [a key store](lifecycle.md) and of [a key](keys.md).",
        table(("Operation", "What it does"), ((f"`{name}`", text) for name, text in served.items())),
        "## Refused",
        "These are KMS's, too. For a key in a custom key store there is nothing that they could do.",
        table(("Operation", "Why"), reasons),
    )


def management() -> str:
    """Return the page of the management API's routes, from its OpenAPI document."""
    api = document()
    rows = (
        (f"`{method.upper()}`", f"`{path}`", operation["summary"], _asked(operation, api))
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
    )
    return page(
        "# The management API",
        "What AWS spreads over CloudHSM, EC2 and client tools: clusters, their HSMs, users, networks and"
        " backups; and what AWS has not: faults, the clock, explanations. Members are JSON, in and out; what"
        " has a question mark need not be given. All of it, types and answers included, is OpenAPI 3.1 at"
        " `/_hsmstore/openapi.json`. The command line and `hsmstore.simulator` are clients of it;"
        " [the door](door.md) says who may call.",
        table(("Method", "Path", "What it does", "Members of the request"), rows),
    )


def _asked(operation: dict[str, Any], api: dict[str, Any]) -> str:
    """Return the members that are not in the path; those that need not be there with a question mark."""
    asked = [f"`{place['name']}`?" for place in operation["parameters"] if place["in"] == "query"]
    if body := operation.get("requestBody"):
        [kind] = body["content"].values()
        schema = api["components"]["schemas"][kind["schema"]["$ref"].rpartition("/")[2]]
        inside = {place["name"] for place in operation["parameters"]}
        asked += [
            f"`{name}`{'' if name in schema.get('required', []) else '?'}"
            for name in schema["properties"]
            if name not in inside
        ]
    return ", ".join(asked)


def errors() -> str:
    """Return the page of every error that a caller can meet."""
    rows = (
        (f"`{code}`", str(error.status), (error.__doc__ or "").partition("\n")[0])
        for code, error in sorted(ERRORS.items())
    )
    return page(
        "# Errors",
        "What KMS's endpoint, the management API and STS refuse with. The HTTP status of a client's mistake"
        " is 400, as recorded, whatever the service model says.",
        table(("Code", "Status", "When"), rows),
    )


def limits() -> str:
    """Return the page of every limit, with its source."""
    text = Path(limits_module.__file__).read_text(encoding="utf-8")
    return page(
        "# Limits",
        "Every limit that is kept, by its name in `hsmstore/domain/limits.py`, and where it is from.",
        table(("Limit", "Value", "Source"), _limits(text)),
    )


def _limits(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield names, values, and the comment that a name stands under."""
    source: list[str] = []
    ended = True
    for line in text.splitlines():
        if line.startswith("#"):
            source = [*([] if ended else source), line.removeprefix("# ")]
            ended = False
        elif found := re.match(r"(\w+): Final = (.+)", line):
            value = getattr(limits_module, found[1])
            yield f"`{found[1]}`", f"{value:,}" if isinstance(value, int) else str(value), " ".join(source)
            ended = True


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows))


def page(title: str, *parts: str) -> str:
    """Return a page that is made."""
    return "\n\n".join((title, MADE_BY, *parts)) + "\n"
