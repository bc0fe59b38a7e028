"""Write the pages of docs/ that are made from the code: `make docs`. tests/house compares.

- lifecycle.md from the tables in hsmstore/domain/connection.py and causes.py;
- in cli.md, observability.md and works-with.md, the parts between `<!-- name: … -->` and `<!-- /name -->`;
  in README.md, testing.md, replicas.md and scaling.md, too, where they are measured.py's;
- operations.md, management.md, errors.md and limits.md, which are reference.py's;
- python.md, which is api.py's; states.svg, which is drawing.py's; hsmstore.1, which is manual.py's;
- fidelity.md and differences.md from the evidence markers of tests/wire. They are read, not imported: the
  pages must not depend on what a test needs to be collected.
"""

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from docs.api import python
from docs.drawing import states
from docs.manual import manual
from docs.measured import changes, draw, idle, remoting, serializable, simulator, speed
from docs.reference import errors, limits, management, operations
from hsmstore.domain.causes import CAUSES
from hsmstore.domain.connection import ALLOWED, Action, ConnectionState, Event, next_state
from hsmstore.domain.keystore import KeyStoreType
from hsmstore.metrics.catalogue import CATALOGUE

ROOT: Final = Path(__file__).resolve().parent.parent
WIRE: Final = ROOT / "tests" / "wire"
README: Final = ROOT / "README.md"
CLI: Final = ROOT / "docs" / "cli.md"
TESTING: Final = ROOT / "docs" / "testing.md"
OBSERVABILITY: Final = ROOT / "docs" / "observability.md"
WORKS_WITH: Final = ROOT / "docs" / "works-with.md"
REPLICAS: Final = ROOT / "docs" / "replicas.md"
SCALING: Final = ROOT / "docs" / "scaling.md"
LOCKS: Final = (
    ROOT / "tests" / "testing" / "aiobotocore.lock",
    ROOT / "requirements.lock",
)  # the last one wins
JAVASCRIPT: Final = ROOT / "tests" / "clients" / "javascript" / "package-lock.json"
MADE_BY: Final = "<!-- Made by `make docs`; changes are lost. -->"

EVIDENCE: Final = ("aws_documented", "aws_recorded", "inferred", "simulator_only")
DIFFERENCES: Final = {
    "inferred": (
        "Inferred",
        "What AWS does here is not published. We chose by analogy; a recording that says otherwise wins.",
    ),
    "simulator_only": ("Only in the simulator", "AWS has nothing of the kind, or is known to do otherwise."),
}
KNOWN: Final = {
    "aws_recorded": (
        "Recorded",
        "AWS has been seen to do it: an answer that somebody captured and published, matched to the letter.",
    ),
    "aws_documented": (
        "Documented",
        "AWS's documentation or its model of the service says so, and this holds it to its word.",
    ),
}


class WireTest(NamedTuple):
    """A test of the wire: where it stands, what it shows, and its evidence as (marker, reason)."""

    place: str
    sentence: str
    evidence: tuple[tuple[str, str], ...]


def lifecycle() -> str:
    """Return the page of the ConnectionState machine."""
    moves = [[event, *(next_state(state, event) or "no" for state in ConnectionState)] for event in Event]
    return _page(
        "# The life of a custom key store",
        MADE_BY,
        "The machine is the table in `hsmstore/domain/connection.py`. Requests cause `connect` and"
        " `disconnect`; the other events are their outcomes, which come later.",
        "![The states, and the events that lead from one to another](states.svg)",
        "## Which state comes next",
        "No: the event is refused. A state that stays as it is: accepted, and nothing changes.",
        _table("Event", moves),
        "## What each state allows",
        "Yes: it is carried out. No change: it is answered, and there is nothing to do. Anything else is the"
        " exception in short, `InvalidState` for `CustomKeyStoreInvalidStateException`; the state then stays"
        " as it is.",
        *(part for kind in KeyStoreType for part in _rights(kind)),
        "## Why a connect fails",
        "Each code of a CloudHSM key store, what it means in life, the command that brings it about here, and"
        " the documented fix between `store disconnect` and `store connect`; each is played through on"
        " [a page of its own](connect-failures.md). Any other code, an external key store's too, comes by a"
        " fault:"
        ' `{"Point": "connect", "Effect": "connection-error", "Error": …}`.',
        causes(),
    )


FOREIGN: Final[Mapping[KeyStoreType, frozenset[Action]]] = {
    KeyStoreType.AWS_CLOUDHSM: frozenset({Action.UPDATE_PROXY_CREDENTIAL, Action.UPDATE_PROXY_ENDPOINT}),
    KeyStoreType.EXTERNAL_KEY_STORE: frozenset({Action.UPDATE_CLUSTER, Action.GENERATE_RANDOM}),
}
"""What a type of key store does not have: the answer is the same in every state."""


def right(kind: KeyStoreType, action: Action, state: ConnectionState) -> str:
    """Return what becomes of an action in a state."""
    if action in FOREIGN[kind]:
        return "UnsupportedOperation" if action is Action.GENERATE_RANDOM else "Validation"
    beyond_reach = action is Action.CREATE_KEY and kind is KeyStoreType.EXTERNAL_KEY_STORE  # no proxy client
    if state not in ALLOWED[action] or beyond_reach:
        return "InvalidState"
    if action is Action.CONNECT and next_state(state, Event.CONNECT) is state:
        return "no change"
    return "yes"


def _rights(kind: KeyStoreType) -> tuple[str, str]:
    rows = [[action, *(right(kind, action, state) for state in ConnectionState)] for action in Action]
    return f"### {kind}", _table("Operation", rows)


def causes() -> str:
    """Return the table of what a failed connect means, and its fix."""
    rows = (
        f"| `{code}` | {cause.meaning} | {_commands([cause.command])} | {_commands(cause.mend)} |"
        for code, cause in CAUSES.items()
        if not code.startswith("XKS")
    )
    return "\n".join(["| Code | Meaning | Cause | Fix |", "| --- | --- | --- | --- |", *rows])


def _commands(commands: Iterable[str]) -> str:
    """Show commands in a cell of a table: the ids in capitals, each remark behind its command."""
    shown = (command.format(store="STORE", cluster="CLUSTER").partition("  # ") for command in commands)
    return "<br>".join(f"`{command}`{remark and f' ({remark})'}" for command, _, remark in shown)


def command_help() -> str:
    """Return what `hsmstore --help` prints."""
    command = [sys.executable, "-m", "hsmstore", "--help"]
    environment = {"PATH": os.defpath, "TERM": "dumb", "COLUMNS": "80"}
    shown = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603  # our own command
    return f"```console\n$ hsmstore --help\n{shown.stdout.strip()}\n```"


def metrics() -> str:
    """Return the metrics as a table."""
    rows = (
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.meaning} |"
        for metric in CATALOGUE
    )
    return "\n".join(["| Metric | Kind | Labels | What it tells |", "| --- | --- | --- | --- |", *rows])


def readme() -> str:
    """Return the README with its figures made anew."""
    return _renewed(README, {"speed": speed})


def testing() -> str:
    """Return the page about tests with its figure made anew."""
    return _renewed(TESTING, {"simulator": simulator})


def cli() -> str:
    """Return the page of the command line with its help made anew."""
    return _renewed(CLI, {"help": command_help})


def observability() -> str:
    """Return the page about watching a server with its table of metrics made anew."""
    return _renewed(OBSERVABILITY, {"metrics": metrics})


CLIENTS: Final = {
    "boto3": ("boto3", "every operation and refusal; `AWS_ENDPOINT_URL_KMS`"),
    "awscli": ("AWS CLI v1", "files encrypted and decrypted, refusals, signatures"),
    "aiobotocore": ("aiobotocore", "draws at a time, pages, keys, refusals"),
    "@aws-sdk/client-kms": (
        "AWS SDK for JavaScript v3",
        "the life of a store and a key, refusals, in Node.js",
    ),
    "aws-encryption-sdk": ("AWS Encryption SDK for Python", "files for one key and for several, discovery"),
}
"""By the name of the package: what it is called, and what of it is tried."""


def clients() -> str:
    """Return the clients that the tests use, in the versions that are locked."""
    pinned = "".join(lock.read_text(encoding="utf-8") for lock in LOCKS)
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", pinned, re.MULTILINE))
    packages = json.loads(JAVASCRIPT.read_text(encoding="utf-8"))["packages"]
    locked |= {path.removeprefix("node_modules/"): p.get("version") for path, p in packages.items()}
    rows = (f"| {name} | {locked[package]} | {tried} |" for package, (name, tried) in CLIENTS.items())
    return "\n".join(["| Client | Version | What is tried |", "| --- | --- | --- |", *rows])


def works_with() -> str:
    """Return the page about clients with its table made anew."""
    return _renewed(WORKS_WITH, {"clients": clients})


def replicas() -> str:
    """Return the page about replicas with its figure made anew."""
    return _renewed(REPLICAS, {"remoting": remoting})


def scaling() -> str:
    """Return the page about a thousand replicas with its figures made anew."""
    parts = {"draw": draw, "idle": idle, "serializable": serializable, "changes": changes}
    return _renewed(SCALING, parts)


def _renewed(page: Path, parts: Mapping[str, Callable[[], str]]) -> str:
    text = page.read_text(encoding="utf-8")
    for name, part in parts.items():
        opening, _, rest = text.partition(f"<!-- {name}: made by `make docs` -->\n")
        closing = f"<!-- /{name} -->"
        text = (
            f"{opening}<!-- {name}: made by `make docs` -->\n{part()}\n{closing}{rest.partition(closing)[2]}"
        )
    return text


def fidelity(tests: Path = WIRE) -> str:
    """Return the page of what is known of AWS, and how many of each kind of evidence there are."""
    counts = Counter(name for test in _proven(tests) for name, _ in test.evidence)
    kinds = [
        f"| {title} | {counts[marker]} | {meaning} |"
        for marker, (title, meaning) in {**KNOWN, **DIFFERENCES}.items()
    ]
    return _page(
        "# How like AWS it is",
        MADE_BY,
        "Every test of the wire runs against a real server over a real token, and says how we know what it"
        " shows. Those of the first two kinds are listed here; the others on"
        " [a page of their own](differences.md).",
        "\n".join(["| Evidence | Tests | What it means |", "| --- | --- | --- |", *kinds]),
        *_sections(tests, KNOWN),
    )


def _proven(tests: Path) -> list[WireTest]:
    return [test for path in sorted(tests.rglob("test_*.py")) for test in read_tests(path)]


def _sections(tests: Path, kinds: Mapping[str, tuple[str, str]]) -> list[str]:
    proven = _proven(tests)
    return [
        part
        for marker, (title, meaning) in kinds.items()
        for part in (f"## {title}", meaning, _list(proven, marker))
    ]


def differences(tests: Path = WIRE) -> str:
    """Return the page of what is not known of AWS, or not AWS's."""
    return _page(
        "# Where hsmstore may differ from AWS",
        MADE_BY,
        "Every test of the wire says how we know what it shows. These say that we do not, or that it"
        " is ours. What is known stands [elsewhere](fidelity.md).",
        *_sections(tests, DIFFERENCES),
    )


def read_tests(path: Path) -> Iterator[WireTest]:
    """Yield the tests of a file. A marker counts on the test, its class or, as `pytestmark`, the module."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    outer = tuple(_evidence(_module_marks(module)))
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from _tests_in(node.body, path, (*outer, *_evidence(node.decorator_list)))
    yield from _tests_in(module.body, path, outer)


def _tests_in(body: Iterable[ast.stmt], path: Path, outer: tuple[tuple[str, str], ...]) -> Iterator[WireTest]:
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            sentence = re.split(r"(?<=[.!?])\s", ast.get_docstring(node) or node.name)[0]
            yield WireTest(f"{path.name}::{node.name}", sentence, (*outer, *_evidence(node.decorator_list)))


def _module_marks(module: ast.Module) -> Sequence[ast.expr]:
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            return node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
    return []


def _evidence(marks: Iterable[ast.expr]) -> Iterator[tuple[str, str]]:
    """Yield (marker, reason) for `pytest.mark.inferred` and `pytest.mark.inferred(reason="…")`."""
    for mark in marks:
        name, keywords = (mark.func, mark.keywords) if isinstance(mark, ast.Call) else (mark, [])
        if isinstance(name, ast.Attribute) and name.attr in EVIDENCE:
            reasons = (ast.literal_eval(word.value) for word in keywords if word.arg == "reason")
            yield name.attr, next(reasons, "")


def _list(tests: Iterable[WireTest], marker: str) -> str:
    lines = [
        " ".join(filter(None, ["-", test.sentence, reason and f"*{reason}*", f"(`{test.place}`)"]))
        for test in tests
        for name, reason in test.evidence
        if name == marker
    ]
    return "\n".join(lines) or "None."


def _table(corner: str, rows: Iterable[Sequence[str]]) -> str:
    header = [corner, *ConnectionState]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def _page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    README: readme,
    CLI: cli,
    TESTING: testing,
    OBSERVABILITY: observability,
    WORKS_WITH: works_with,
    REPLICAS: replicas,
    SCALING: scaling,
    ROOT / "docs" / "lifecycle.md": lifecycle,
    ROOT / "docs" / "states.svg": states,
    ROOT / "docs" / "operations.md": operations,
    ROOT / "docs" / "management.md": management,
    ROOT / "docs" / "errors.md": errors,
    ROOT / "docs" / "limits.md": limits,
    ROOT / "docs" / "fidelity.md": fidelity,
    ROOT / "docs" / "differences.md": differences,
    ROOT / "docs" / "python.md": python,
    ROOT / "docs" / "hsmstore.1": manual,
}


def main() -> None:
    """Write the pages."""
    for path, page in PAGES.items():
        path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
