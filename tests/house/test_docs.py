"""The generated pages are up to date, and every test of the wire has its evidence."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import record
from bench.record import Measured, Record
from bench.replicas import CPU, HEARING
from bench.testing import HSMSTORE, SIMULATOR
from docs.generate import PAGES, ROOT, differences, fidelity, read_tests
from docs.measured import MISSING, changes, draw, idle, simulator, speed

WIRE = ROOT / "tests" / "wire"


@pytest.mark.parametrize(("path", "page"), PAGES.items(), ids=[path.name for path in PAGES])
def test_page_is_up_to_date(path: Path, page: Callable[[], str]) -> None:
    """`make docs` would change nothing."""
    assert path.read_text(encoding="utf-8") == page(), "type: make docs"


def test_evidence_can_be_read() -> None:
    """The generator sees one marker on each test, as the collection does."""
    tests = [test for path in WIRE.rglob("test_*.py") for test in read_tests(path)]
    assert [test.place for test in tests if len(test.evidence) != 1] == []


def test_figures_come_from_the_record(tmp_path: Path) -> None:
    """Medians are shown, and what is proportional to the replicas is reckoned for a thousand."""
    rounds = [{"30 replicas": {CPU: 0.1 * n}, "200 replicas": {CPU: n, HEARING: 10.0 * n}} for n in (1, 9, 2)]
    remote = {
        "PostgreSQL, p11-kit remoting": {"CPU per request, µs": 75.0, "of it the token's owner's": 25.0}
    }
    made = [{HSMSTORE: {SIMULATOR: figure}} for figure in (90.0, 10.0, 20.0)]
    sections = {
        "replicas": Measured(rounds, ""),
        "registries": Measured([remote], ""),
        "testing": Measured(made, ""),
    }
    record.keep(Record(sections), tmp_path)
    assert f"| {CPU} | 0.2 | 2 | 10 |" in idle(tmp_path).splitlines()
    assert "1,000 replicas hear of takes 20 ms" in changes(tmp_path)
    assert "| so a core of replicas serves | 20,000 draws/s |" in draw(tmp_path)
    assert "| and a core of the token's owner | 40,000 draws/s |" in draw(tmp_path)
    assert "| so a core serves | - |" in draw(tmp_path), "the hot path was not measured"
    assert "One server draws - times a second" in speed(tmp_path)
    assert "takes 20 ms of one core" in simulator(tmp_path), "the median of its rounds"
    assert idle(tmp_path / "nowhere") == changes(tmp_path / "nowhere") == MISSING


SAMPLE = '''
import pytest

@pytest.mark.inferred(reason="By analogy with Encrypt.")
def test_guess():
    """A guess is made. More is said."""

class TestOurs:
    @pytest.mark.simulator_only
    def test_own(self):
        """Ours alone."""

@pytest.mark.aws_documented
def test_known():
    """It is written."""
'''


def test_fidelity_lists_what_is_known_of_aws(tmp_path: Path) -> None:
    """What is documented is on the page; guesses, and what is ours, are only counted."""
    (tmp_path / "test_sample.py").write_text(SAMPLE, encoding="utf-8")
    lines = fidelity(tmp_path).splitlines()
    assert [line for line in lines if line.startswith("- ")] == [
        "- It is written. (`test_sample.py::test_known`)"
    ]
    counts = [line.split(" | ")[:2] for line in lines if line.startswith("| ")][2:]
    assert counts == [
        ["| Recorded", "0"],
        ["| Documented", "1"],
        ["| Inferred", "1"],
        ["| Only in the simulator", "1"],
    ]


def test_differences_list_what_is_not_known_of_aws(tmp_path: Path) -> None:
    """A guess and a thing of ours are on the page, each with its reason; what is documented is not."""
    (tmp_path / "test_sample.py").write_text(SAMPLE, encoding="utf-8")
    lines = [line for line in differences(tmp_path).splitlines() if line.startswith("- ")]
    assert lines == [
        "- A guess is made. *By analogy with Encrypt.* (`test_sample.py::test_guess`)",
        "- Ours alone. (`test_sample.py::test_own`)",
    ]


@pytest.mark.parametrize(
    ("marks", "status"),
    [
        ("", pytest.ExitCode.USAGE_ERROR),
        ("@pytest.mark.inferred\n@pytest.mark.aws_recorded\n", pytest.ExitCode.USAGE_ERROR),
        ("@pytest.mark.inferred\n", pytest.ExitCode.OK),
    ],
    ids=["none", "two", "one"],
)
def test_collection_wants_one_marker(tmp_path: Path, marks: str, status: pytest.ExitCode) -> None:
    """A test of the wire without evidence, or with two kinds, stops the whole run."""
    shutil.copy(WIRE / "conftest.py", tmp_path)
    (tmp_path / "test_sample.py").write_text(
        f"import pytest\n\n{marks}def test():\n    pass\n", encoding="utf-8"
    )
    options = ["-c", f"{ROOT}/pyproject.toml", "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert result.returncode == status, result.stdout + result.stderr
