"""A benchmark that cannot run, or whose page is malformed, is noticed before it is wanted."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

SVG = "{http://www.w3.org/2000/svg}"


def test_shortest_form(tmp_path: Path) -> None:
    """One round of the hot path and its limit gives figures, a page with its bars, a plot with a title."""
    command = [sys.executable, "-m", "bench", "--quick", "--only", "hot-path", "--without", "moto_server"]
    done = subprocess.run(
        [*command, "--to", str(tmp_path)], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "results.json").read_text())
    ((figures,), _) = record["sections"]["hot-path"].values()
    assert figures["hsmstore"]["requests/s, 64 connections"] > 0
    assert figures["constant"]["CPU per request, µs, 64 connections"] > 0
    page = (tmp_path / "RESULTS.md").read_text()
    assert page in done.stdout or done.stdout.strip() == page.strip()
    assert "| requests/s, 64 connections, of the constant handler's " in page
    assert "not measured" in page, "moto_server was left out"
    picture = ET.fromstring((tmp_path / "results.svg").read_text())  # noqa: S314  # our own
    assert picture.find(f"{SVG}title") is not None
