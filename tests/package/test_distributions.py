"""The wheel and the source distribution: all that belongs in them, nothing else, and the same bytes."""

import email.message
import email.parser
import os
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from hsmstore import __version__
from tests.house.tidy import ROOT
from tests.package.shipped import Distributions, build, check_out, kept_files

INFO = f"hsmstore-{__version__}.dist-info"
DATA = ("migrations/", "softhsm/", "alembic.ini")
"""What stands beside the package in a checkout, and travels inside it."""

STRAYS = (
    ".venv/lib/stray.py",
    "hsmstore/__pycache__/stray.cpython-311.pyc",
    "hsmstore/registry.sqlite3",
    "migrations/__pycache__/stray.cpython-311.pyc",
    "dist/stray.whl",
    ".hypothesis/stray",
    "tests/.pytest_cache/stray",
)
"""What lies about in a checkout that is worked in."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _metadata(built: Distributions) -> email.message.Message:
    with zipfile.ZipFile(built.wheel) as archive:
        return email.parser.Parser().parsestr(archive.read(f"{INFO}/METADATA").decode())


def _expected_in_wheel() -> set[str]:
    kept = kept_files()
    return {
        *(name for name in kept if name.startswith("hsmstore/")),
        *(f"hsmstore/_data/{name}" for name in kept if name.startswith(DATA)),
        *(f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")),
        f"{INFO}/licenses/LICENSE",
        f"hsmstore-{__version__}.data/data/share/man/man1/hsmstore.1",
    }


def test_the_wheel_holds_the_package_and_its_data(built: Distributions) -> None:
    """Modules, migrations, PKCS#11 profiles, manual page, licence: no file more, no file less."""
    names = built.wheel_names()
    assert len(names) == len(set(names))
    assert set(names) == _expected_in_wheel()
    assert "hsmstore/py.typed" in names
    assert "hsmstore/_data/softhsm/softhsm2.conf.template" in names


def test_the_source_distribution_holds_what_git_keeps(built: Distributions) -> None:
    """Tests, documents and the lock included; PKG-INFO is added by the build."""
    assert sorted(built.source_names()) == sorted([*kept_files(), "PKG-INFO"])


@pytest.fixture(scope="session")
def rebuilt(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build again, where files are younger and somebody has worked, with another umask and a stray or two."""
    room = tmp_path_factory.mktemp("rebuilt")
    before = os.umask(0o077)
    try:
        tree = check_out(room / "elsewhere")
        for name in STRAYS:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text("stray")
        for path in tree.rglob("*"):
            os.utime(path, (1, 1))
        again = build(tree, room / "dist")
    finally:
        os.umask(before)
    assert again.wheel.name == built.wheel.name
    return again


def test_building_twice_gives_the_same_bytes(built: Distributions, rebuilt: Distributions) -> None:
    """Whoever builds, wherever, whenever: the archives can be compared by their hashes."""
    assert rebuilt.wheel.read_bytes() == built.wheel.read_bytes()
    assert rebuilt.source.read_bytes() == built.source.read_bytes()


def test_the_source_distribution_builds_the_same(built: Distributions, tmp_path: Path) -> None:
    """A packager who starts from it gets the wheel and the source distribution themselves, to the byte."""
    with tarfile.open(built.source) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / f"hsmstore-{__version__}", tmp_path / "dist")
    assert again.wheel.read_bytes() == built.wheel.read_bytes()
    assert again.source.read_bytes() == built.source.read_bytes()


def test_the_wheel_is_dated_by_who_builds(built: Distributions) -> None:
    """SOURCE_DATE_EPOCH is the time of every file, and no file is writable by others."""
    with zipfile.ZipFile(built.wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2025, 6, 15, 15, 6, 40)}
        assert {entry.external_attr >> 16 & 0o777 for entry in archive.infolist()} <= {0o644, 0o755}


def test_metadata(built: Distributions) -> None:
    """What an index shows of the project."""
    metadata = _metadata(built)
    assert metadata["Name"] == "hsmstore"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata.get_all("License-File") == ["LICENSE"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata.get_payload() == (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(PROJECT["classifiers"]) == set(metadata.get_all("Classifier", []))
    assert {"Typing :: Typed", "Operating System :: POSIX"} <= set(PROJECT["classifiers"])
    # The expression says it; an index refuses both together.
    assert not [name for name in PROJECT["classifiers"] if name.startswith("License ::")]


def test_what_is_installed(built: Distributions) -> None:
    """One command under the name of the package, which `uvx` and `pipx run` ask for; and pytest's plugin."""
    with zipfile.ZipFile(built.wheel) as archive:
        entries = archive.read(f"{INFO}/entry_points.txt").decode()
    assert "[console_scripts]\nhsmstore = hsmstore.cli:main\n" in entries
    assert "[pytest11]\nhsmstore = hsmstore.testing.plugin\n" in entries, "pytest finds the fixtures by it"
