"""A benchmark that cannot run, or whose page is malformed, is noticed before it is wanted."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import constant, first_use, plot, record, replicas, report
from bench.record import Measured, Record
from bench.section import Bar, Section, Verdict, value
from bench.servers import serving
from bench.steps import STEPS, rows
from tests.house.tidy import ROOT

SVG = "{http://www.w3.org/2000/svg}"


def test_shortest_form(tmp_path: Path) -> None:
    """One round of the hot path and its limit gives figures, a page with its bars, a plot with a title."""
    command = [sys.executable, "-m", "bench", "--quick", "--only", "hot-path", "--without", "moto_server"]
    done = subprocess.run(
        [*command, "--to", str(tmp_path)], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (figures,) = record.read(tmp_path).sections["hot-path"].rounds
    assert figures["hsmstore"]["requests/s, 64 connections"] > 0
    assert figures["constant"]["CPU per request, µs, 64 connections"] > 0
    page = (tmp_path / "RESULTS.md").read_text()
    assert done.stdout.strip() == page.strip()
    assert "left out" not in done.stderr, "that is told where nothing is named"
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


def test_many_servers_and_another_endpoint(tmp_path: Path) -> None:
    """What sets up much gives figures in its shortest form; so does an endpoint that somebody else serves."""
    body = json.dumps({"Plaintext": "A" * 44}).encode()
    constant.write([("Content-Type", "application/x-amz-json-1.1")], body, tmp_path / "answer")
    elsewhere = [sys.executable, "-m", "bench.constant", "2", str(tmp_path / "answer")]
    command = [sys.executable, "-m", "bench", "--quick", "--seconds", "0.2"]
    command += ["--without", "hsmstore,constant,moto_server"]

    def kept_of(names: str) -> dict[str, Measured]:
        """Measure these sections."""
        whole = [*command, "--only", names, "--to", str(tmp_path / names)]
        done = subprocess.run(whole, check=False, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return record.read(tmp_path / names).sections

    with (
        serving(lambda port: [*elsewhere, str(port)], tmp_path / "log") as other,
        ThreadPoolExecutor() as pool,
    ):
        command += ["--endpoint", f"other=http://127.0.0.1:{other.port}"]
        some, others = pool.map(kept_of, ("registries,replicas", "hot-path,crowd,mixed,endurance"))
    kept = some | others
    assert kept["hot-path"].rounds[0]["other"]["requests/s, 64 connections"] > 0
    assert {name: set(measured.rounds[0]) for name, measured in kept.items()} == {
        "hot-path": {"other"},
        "crowd": {"100 stores, 3 connected"},
        "registries": {"SQLite", "PostgreSQL", "PostgreSQL, p11-kit remoting"},
        "mixed": {"alone", "beside slow calls", "slow calls go elsewhere"},
        "endurance": {"hsmstore"},
        "replicas": {"3 replicas"},
    }
    (figures,) = kept["replicas"].rounds[0].values()
    assert figures[replicas.REFUSED] == figures[replicas.LAPSED] == 0
    assert figures[replicas.DISCONNECTED] >= figures[replicas.LET_GO] > 0


def test_a_promise_of_nothing_is_drawn() -> None:
    """None of none is all that is allowed, and one is too many; neither divides by it."""
    errors = Bar("errors", lambda _: 0.0, most=0)
    picture = ET.fromstring(plot.picture(Record(), [Verdict(errors, [0.0]), Verdict(errors, [1.0])]))  # noqa: S314  # our own
    assert len(picture.findall(f"{SVG}circle[@class='kept']")) == 1
    assert len(picture.findall(f"{SVG}polygon[@class='short']")) == 1


def section(name: str, bar: Bar) -> Section:
    """Return a section that is there to be shown."""
    return Section(name, name.capitalize(), "What it is.", lambda _: iter(()), lambda _: 0.0, (bar,))  # type: ignore[arg-type,return-value]  # not measured


SHORT = Bar("draws/s", value("ours", "draws/s"), least=2, why="the token is slow.")
SECTIONS = [section("first", SHORT), section("second", SHORT._replace(what="other draws/s"))]


def measured(machine: str, revision: str, rate: float = 1.0) -> Measured:
    """Return one round, as it was measured somewhere."""
    return Measured([{"ours": {"draws/s": rate}}], "Rounds: 1.", {"CPU": machine}, revision)


def test_what_is_of_one_revision_is_said_once() -> None:
    """The page says so of one machine and revision for all; a promise that is missed has its reason."""
    page = report.page(SECTIONS, Record({"first": measured("A", "f00"), "second": measured("A", "f00", 3)}))
    assert "on one machine and of one revision, f00." in page
    assert page.count("f00") == 1
    assert "## The machine\n\n- CPU: A" in page
    assert "- draws/s: the token is slow." in page
    assert "- other draws/s:" not in page, "it is kept"
    assert "docs/speed.md" in page


@pytest.mark.parametrize(("machine", "revision"), [("A", "ba7"), ("B", "f00")])
def test_what_differs_is_told_by_each(machine: str, revision: str) -> None:
    """A section that was measured elsewhere, or of another revision, says so, and so do the others."""
    kept = {"first": measured("A", "f00", 3), "second": measured(machine, revision, 3)}
    page = report.page(SECTIONS, Record(kept))
    assert "Not everything here was measured on one machine and of one revision" in page
    assert page.count("Rounds: 1. On ") == 2
    assert f"of revision {revision}." in page
    assert page.count("\n- CPU: ") == len({"A", machine})
    assert "docs/speed.md" not in page, "nothing falls short"


def test_an_old_record_is_read(tmp_path: Path) -> None:
    """At first one machine stood for all sections, and no revision was kept."""
    old = {"machine": {"CPU": "A"}, "sections": {"first": {"rounds": [], "circumstances": "Rounds: 0."}}}
    (tmp_path / record.FILE).write_text(json.dumps(old))
    kept = record.read(tmp_path)
    assert kept.sections["first"].machine == {"CPU": "A"}
    assert "Not everything" in report.page(SECTIONS, kept), "nobody knows the revision"
    record.keep(kept, tmp_path / "new")
    assert record.read(tmp_path / "new") == kept


def test_what_a_newcomer_types() -> None:
    """The README has it: the command that serves, and a program that draws from where that serves."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert first_use.SERVE.search(readme)
    program = first_use.DRAW.search(readme)
    assert program, "lines of Python"
    compile(program[1], "README.md", "exec")
    assert program[1].count(first_use.PORT) == 1
    assert "generate_random" in program[1]
