"""The style of the house as data: each rule, and a sample that breaks it.

What ruff, mypy or import-linter can say is said there. A rule reads one file and yields what is wrong in it.
"""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]

FUNCTION_MEDIAN: Final = 10
FUNCTION_95_PERCENT: Final = 40
FUNCTION_MAX: Final = 70
FILE_MAX: Final = 400


class Source(NamedTuple):
    """A file: its path below the root, and its text."""

    path: Path
    text: str

    @property
    def tree(self) -> ast.Module:
        """The parsed file; of anything but Python, an empty module."""
        return ast.parse(self.text if self.path.suffix == ".py" else "")


class Rule(NamedTuple):
    """What must hold, how to find where it does not, and a file in which it does not."""

    name: str
    broken: Callable[[Source], Iterator[str]]
    sample: Source


def sources() -> list[Source]:
    """Return every text file that git tracks or would track."""
    # A checkout that belongs to another user, as in a container, is read all the same.
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, check=True, text=True).stdout
    files = [Path(name) for name in listed.split("\0") if (ROOT / name).is_file()]
    return [Source(path, text) for path in files if (text := _text(ROOT / path)) is not None]


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def function_lengths(source: Source) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its number of lines, docstring included, decorators not."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def too_long_as_a_whole(lengths: Sequence[int]) -> str | None:
    """Say what is wrong with the distribution of function lengths."""
    middle, tail = median(lengths), quantiles(lengths, n=20)[-1]
    if middle <= FUNCTION_MEDIAN and tail <= FUNCTION_95_PERCENT:
        return None
    return f"functions have {middle} lines at the median and {tail} at the 95th percentile"


def _long_functions(source: Source) -> Iterator[str]:
    for name, length in function_lengths(source):
        if length > FUNCTION_MAX:
            yield f"{name} has {length} lines"


def _long_file(source: Source) -> Iterator[str]:
    length = source.text.count("\n")
    if source.path.suffix == ".py" and length > FILE_MAX:
        yield f"{length} lines"


_EMPTY_NAMES: Final = {"util", "utils", "helper", "helpers", "common", "manager", "impl", "misc"}


def _empty_name(source: Source) -> Iterator[str]:
    if source.path.suffix == ".py":
        words = {word for part in source.path.with_suffix("").parts for word in part.split("_")}
        yield from words & _EMPTY_NAMES


_MOCKS: Final = {"unittest.mock", "mock", "pytest_mock"}
"""What no test may import. They stand here to be found elsewhere; none is used."""


def _mock(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & _MOCKS
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from {module, *(f"{module}.{alias.name}" for alias in node.names)} & _MOCKS


_EVASIONS: Final = {"skip", "skipif", "skipIf", "skipUnless", "skipTest", "importorskip", "xfail"}
"""What a test could pass by without having run. They stand here to be found elsewhere; none is used."""


def _evasion(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in _EVASIONS:
            owner = ast.unparse(node.value)
            if owner.split(".")[0] in {"pytest", "unittest", "self"}:
                yield f"line {node.lineno}: {owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in {"pytest", "unittest"}:
            yield from {alias.name for alias in node.names} & _EVASIONS


_KEY_EXITS: Final = {"wrap_key", "unwrap_key", "derive_key", "create_object", "copy"}
_KEY_VALUES: Final = {"VALUE", "get_attributes"}


def _key_material(source: Source) -> Iterator[str]:
    """Find what reads the value of a key, lets it out of the token, or brings one in from our memory."""
    if source.path.parts[0] != "hsmstore":
        return
    in_the_room = source.path.parts[:2] == ("hsmstore", "hsm")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and node.value == "CKA_VALUE":
            yield f"line {node.lineno}: CKA_VALUE"
        elif in_the_room and isinstance(node, ast.Attribute) and node.attr in _KEY_EXITS | _KEY_VALUES:
            yield f"line {node.lineno}: {ast.unparse(node)}"


_SILENCED: Final = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b")
_SILENCED_WITH_REASON: Final = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*|type:\s*ignore\[[\w, -]+\])\s*(?:#|-|—|:)\s*\w"
)


def _silence(source: Source) -> Iterator[str]:
    explained = -1  # the last line that gave its reason, which holds for the lines right below it
    tokens = tokenize.generate_tokens(
        io.StringIO(source.text if source.path.suffix == ".py" else "").readline
    )
    for line, comment in (
        (token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT
    ):
        if _SILENCED_WITH_REASON.search(comment) or (_SILENCED.search(comment) and explained == line - 1):
            explained = line
        elif _SILENCED.search(comment):
            yield f"line {line}: {comment}"


_RULE_CODE: Final = re.compile(r'"[A-Z]{1,4}[0-9]{3,4}"')


def _ignore(source: Source) -> Iterator[str]:
    if source.path.name == "pyproject.toml":
        for line in source.text.splitlines():
            if _RULE_CODE.search(line) and not re.search(r"#\s*\w", line):
                yield line.strip()


def _never(pattern: str) -> Callable[[Source], Iterator[str]]:
    def broken(source: Source) -> Iterator[str]:
        for number, line in enumerate(source.text.splitlines(), start=1):
            if found := re.search(pattern, line):
                yield f"line {number}: {found[0]}"

    return broken


def _python(text: str) -> Source:
    return Source(Path("hsmstore/sample.py"), text)


# Samples of forbidden text are put together here, so that this file does not break its own rules.
RULES: Final = (
    Rule(
        "a function has at most 70 lines",
        _long_functions,
        _python("def f():\n" + "    x = 1\n" * FUNCTION_MAX),
    ),
    Rule("a file has at most 400 lines", _long_file, _python("x = 1\n" * (FILE_MAX + 1))),
    Rule("a module's name says what is in it", _empty_name, Source(Path("hsmstore/hsm/pin_utils.py"), "")),
    Rule(
        "tests use fakes that pass the real part's tests, no mocks",
        _mock,
        _python("from unittest import mock"),
    ),
    Rule(
        "key material stays on the token",
        _key_material,
        Source(Path("hsmstore/hsm/sample.py"), "def read(key):\n    return key[Attribute.VALUE]\n"),
    ),
    Rule(  # the sample is text that the rule must find, and no test
        "a test runs and passes",
        _evasion,
        _python("@pytest.mark.skipif(True)\ndef test(): ..."),
    ),
    Rule("who silences a check says which and why", _silence, _python("x = y" + "  # type: ignore[name]")),
    Rule(
        "an exception from ruff's rules has its reason",
        _ignore,
        Source(Path("pyproject.toml"), 'ignore = [\n  "D203",\n]'),
    ),
    Rule(
        "no path of one machine",
        _never(r"(?<![\w.$~}-])/(?:home|root|Users|work)/\w"),
        _python("HERE = '/home" + "/me/hsmstore'"),
    ),
    Rule(
        "no host of a package registry",
        _never(
            r"\b(?:pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|crates\.io|rubygems\.org|golang\.org"
            r"|deb\.debian\.org|archive\.ubuntu\.com|docker\.io|ghcr\.io|quay\.io)\b"
        ),
        Source(Path("Makefile"), "# by way of crates" + ".io"),
    ),
    Rule(
        "no secret",
        _never(
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{36}"
            r"|\b(?:AKIA|ASIA)(?![A-Z0-9]{9}EXAMPLE\b)[A-Z0-9]{16}\b"
        ),
        _python("KEY = 'AKIA" + "Q" * 16 + "'"),
    ),
)
