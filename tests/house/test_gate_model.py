"""The code names the steps of the gate's model, so that a reader finds one in the other."""

import ast
import re
from typing import Final

from tests.house.tidy import ROOT

MODEL: Final = ROOT / "docs" / "model" / "gate.pml"
PLACES: Final = ("hsmstore/service", "hsmstore/domain")
"""Where steps are taken, and where the ports stand by which an adapter takes them."""


def test_each_step_is_a_function() -> None:
    """Each inline of the model that has a comment of its own is a function of the services or their ports."""
    steps = re.findall(r"^/\* .*\*/\ninline (\w+)", MODEL.read_text(encoding="utf-8"), re.MULTILINE)
    trees = [ast.parse(path.read_text()) for place in PLACES for path in (ROOT / place).rglob("*.py")]
    names = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert len(steps) == 8
    assert set(steps) <= names
