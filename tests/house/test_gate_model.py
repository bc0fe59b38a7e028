"""The steps of the gate's model: the page tells where each is in the code, and there it is, by its name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.house.tidy import ROOT

MODEL: Final = ROOT / "docs" / "model" / "gate.pml"
PAGE: Final = ROOT / "docs" / "replicas.md"
PACKAGE: Final = ROOT / "hsmstore"


def test_page_says_where_each_step_is() -> None:
    """Each inline of the model that has a comment of its own has a row, whose files have it as a function."""
    steps = re.findall(r"^/\* .*\*/\ninline (\w+)", MODEL.read_text(encoding="utf-8"), re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| (`.*?`) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [step for step, _ in rows] == steps
    for step, where in rows:
        places = re.findall(r"`(.*?)`", where)
        assert [place for place in places if step not in _functions(PACKAGE / place)] == [], step
        assert {place.partition("/")[0] for place in places} != {"domain"}, f"{step}: where is it taken?"


def _functions(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node.name
