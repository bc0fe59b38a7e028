"""The sample projects do what their READMEs say, each in a copy that holds nothing else."""

import shutil
from pathlib import Path

import pytest

from tests.house.tidy import ROOT
from tests.pages.comparing import Samples
from tests.pages.playing import Player
from tests.pages.reading import blocks

READMES = sorted((ROOT / "examples").glob("*/README.md"))


@pytest.mark.parametrize("readme", READMES, ids=lambda readme: readme.parent.name)
def test_readme(readme: Path, tmp_path: Path) -> None:
    """Every command of it is typed, and what it shows is shown."""
    copy = tmp_path / readme.parent.name
    shutil.copytree(readme.parent, copy, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    player = Player(copy, Path("/nowhere"), Samples())
    try:
        player.play(blocks(readme))
    finally:
        player.close()
