"""SECURITY.md names tests that exist, and secrets are compared in constant time."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`((?:\w+/)+(?:\w+\.py)?(?:::\w+)?)`", PAGE.partition("## Where secrets lie")[0])
UNGUESSED = {"hsmstore/service/login.py"}  # compares two passwords of its own
SECRET = re.compile(r"(?i)(password|secret|token|pin|signature)$")


def test_promises_name_tests() -> None:
    """The page is read as it is meant."""
    assert len(NAMED) > 15


@pytest.mark.parametrize("named", sorted(set(NAMED)))
def test_named_tests_exist(named: str) -> None:
    """A promise names a directory, a file, or a test in it."""
    path, _, test = named.partition("::")
    file = ROOT / "tests" / path
    assert file.exists()
    assert not test or re.search(rf"^def {test}\(", file.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_promise_names_one() -> None:
    """No row of the table is without."""
    table = PAGE.partition("| Against |")[2].partition("\n\n")[0]
    rows = table.splitlines()[2:]
    assert rows
    assert [row for row in rows if not any(f"`{named}`" in row for named in NAMED)] == []


def compared(tree: ast.Module) -> Iterator[ast.Compare]:
    """Yield comparisons for equality of something that is named as a secret."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(how, ast.Eq | ast.NotEq) for how in node.ops):
            sides = (node.left, *node.comparators)
            names = {side.id if isinstance(side, ast.Name) else getattr(side, "attr", "") for side in sides}
            constant = any(isinstance(side, ast.Constant) for side in sides)
            if not constant and any(SECRET.search(name) for name in names):
                yield node


def test_secrets_compare_in_constant_time() -> None:
    """Nothing that is named as a secret is compared with == or !=, but by `hmac.compare_digest`."""
    loose = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "hsmstore").rglob("*.py"))
        if str(path.relative_to(ROOT)) not in UNGUESSED
        for node in compared(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert loose == []


def test_the_search_finds_something() -> None:
    """The test above can fail."""
    assert list(compared(ast.parse("if self.token == given: pass")))
