"""The site of docs/ builds without a warning, and loads nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

from tests.house.tidy import ROOT

LOADED = re.compile(
    r"""<(?:script|img|iframe|source|audio|video)\b[^>]*\bsrc="([^"]*)"|<link\b[^>]*\bhref="([^"]*)"
    |url\(\s*['"]?([^'")]+)|@import\s+['"]([^'"]+)""",
    re.VERBOSE,
)
"""What a browser loads by itself, in HTML and CSS. A link that somebody may follow is none of it."""


def test_site(tmp_path: Path) -> None:
    """Every page is in the tree of contents, every link within leads somewhere, every name is known."""
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").is_file()
    files = [path for path in tmp_path.rglob("*") if path.suffix in {".html", ".css", ".svg"}]
    loaded = {
        next(filter(None, found.groups()))
        for path in files
        for found in LOADED.finditer(path.read_text(encoding="utf-8"))
    }
    assert len(loaded) > 10
    assert [url for url in loaded if re.match(r"(?:\w+:)?//", url)] == []
