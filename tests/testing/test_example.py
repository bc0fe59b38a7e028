"""The sample project does what its README says, in a copy that holds nothing else."""

import shutil
from pathlib import Path

from tests.house.tidy import ROOT
from tests.pages.comparing import Samples
from tests.pages.playing import Player
from tests.pages.reading import blocks

PROJECT = ROOT / "examples" / "retrying"


def test_readme(tmp_path: Path) -> None:
    """Every command of it is typed, and what it shows is shown."""
    copy = tmp_path / "retrying"
    shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    player = Player(copy, Path("/nowhere"), Samples())
    try:
        player.play(blocks(PROJECT / "README.md"))
    finally:
        player.close()
