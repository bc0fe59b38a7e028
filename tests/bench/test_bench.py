"""A benchmark that cannot run, or whose page is malformed, is noticed before it is wanted."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from bench import plot
from bench.record import Record
from bench.section import Bar, Verdict
from bench.steps import STEPS, rows

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


def test_who_calls_and_what_is_recorded(tmp_path: Path) -> None:
    """Signatures, policies and the trail are measured, each with its bar."""
    command = [sys.executable, "-m", "bench", "--quick", "--only", "auth,iam,trail", "--to", str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for bar in ("--auth verify", "--iam enforce", "the trail"):
        (row, *_) = [
            line for line in done.stdout.splitlines() if line.startswith(f"| {bar}: CPU of a draw over")
        ]
        assert "not measured" not in row


def test_steps(tmp_path: Path) -> None:
    """Every step of a draw can be taken, and what they are told to take makes the table's rows."""
    for name in ("plain", "kept"):
        (tmp_path / name).mkdir(mode=0o700)
    command = [
        sys.executable,
        "-m",
        "bench.stepping",
        str(tmp_path),
        '{"X-Amz-Target": "TrentService.GenerateRandom", "Content-Type": "application/x-amz-json-1.1"}',
    ]
    done = subprocess.run(
        command,
        input="".join(f"{step} 2\n" for step in STEPS),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.split() == ["done"] * len(STEPS), done.stderr
    figures = rows(dict.fromkeys(STEPS, 10.0) | {"HTTP": 100.0, "KMS": 50.0, "recorded": 70.0})
    assert (figures["the trail, and its thread"], figures["all"]) == (20.0, 90.0 + 50.0 - 40.0 + 20.0)


def test_a_promise_of_nothing_is_drawn() -> None:
    """None of none is all that is allowed, and one is too many; neither divides by it."""
    errors = Bar("errors", lambda _: 0.0, most=0)
    picture = ET.fromstring(plot.picture(Record(), [Verdict(errors, [0.0]), Verdict(errors, [1.0])]))  # noqa: S314  # our own
    assert len(picture.findall(f"{SVG}circle[@class='kept']")) == 1
    assert len(picture.findall(f"{SVG}polygon[@class='short']")) == 1
