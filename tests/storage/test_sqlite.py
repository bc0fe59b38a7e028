"""A file that is no registry, or cannot be used, is refused unharmed, with what is wrong with it."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hsmstore.storage import engine
from hsmstore.storage.migrations import upgrade
from tests.storage.conftest import refusal

pytestmark = pytest.mark.sqlite


@pytest.fixture
def path(url: str) -> Path:
    """Return the file behind the URL."""
    return Path(url.removeprefix("sqlite:///"))


def test_a_file_that_is_no_database_is_refused_and_kept(url: str, path: Path) -> None:
    """Whatever the file is, it is not overwritten."""
    path.write_bytes(b"certainly not a database" * 100)
    assert "is not a SQLite database" in refusal(url).reason
    assert path.read_bytes() == b"certainly not a database" * 100


@pytest.mark.parametrize("page", range(2, 8))
def test_a_damaged_page_is_found(url: str, path: Path, page: int) -> None:
    """Damage is met at the start, wherever it is, and not in the middle of a request."""
    upgrade(url)
    size = 4096
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    found = refusal(url)
    assert "is damaged" in found.reason
    assert ".recover" in found.mend


def test_a_truncated_file_is_refused(url: str, path: Path) -> None:
    """A file that has lost its end is damaged, not smaller."""
    upgrade(url)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    assert "is damaged" in refusal(url).reason


def test_a_locked_database_is_refused_after_a_while(
    filled: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that another program keeps is reported, with the way to find that program."""
    monkeypatch.setattr(engine, "LOCK_PATIENCE", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        found = refusal(filled)
    assert "locked by another program" in found.reason
    assert found.mend.endswith(f"fuser {path} tells which")


@pytest.mark.usefixtures("filled")
def test_a_read_only_database_is_refused(path: Path) -> None:
    """Found at the start, not at the first write; `mode=ro` binds root too, as a read-only disk does."""
    assert "is read-only" in refusal(f"sqlite:///file:{path}?mode=ro&uri=true").reason


READER = """
import sys
from hsmstore.storage.registry import SqlRegistry
from tests.storage.entities import SCOPE, store

registry = SqlRegistry(sys.argv[1])
with registry.reading() as unit:
    assert unit.key_stores(SCOPE) == []
with registry.writing() as unit:
    unit.add_key_store(store())
print("written", flush=True)
assert sys.stdin.readline() == "read\\n"
with registry.reading() as unit:
    print(len(unit.key_stores(SCOPE)), flush=True)
sys.stdin.readline()
"""


def test_what_is_committed_can_be_read_when_the_disk_is_read_only(url: str, path: Path) -> None:
    """A reader writes nothing, not even to the log's index in memory: the kernel would end it by SIGBUS."""
    upgrade(url)
    command = [sys.executable, "-c", READER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        subprocess.run(["sync", "--file-system", path], check=True)  # a clean page is asked for anew
        subprocess.run(["chattr", "-R", "+i", path.parent], check=True)
        process.stdin.write("read\n")
        process.stdin.flush()
        read = process.stdout.readline()
        subprocess.run(["chattr", "-R", "-i", path.parent], check=True)
    assert read == "1\n"


def test_a_directory_in_its_place_is_refused(url: str, path: Path) -> None:
    """A directory is called one."""
    path.mkdir()
    assert refusal(url).reason == f"the database {path} is a directory"


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """The directory is not made by the way: its name may be a slip of the pen."""
    found = refusal(f"sqlite:///{tmp_path}/nowhere/registry.sqlite3")
    assert found.reason == f"the database's directory {tmp_path}/nowhere does not exist"


def test_a_dangling_link_is_refused(url: str, path: Path) -> None:
    """What can't be opened for any other reason is named at least."""
    path.symlink_to(path)
    assert refusal(url).reason == f"the database {path} cannot be opened"


@pytest.mark.parametrize("memory", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(memory: str) -> None:
    """Each connection would have one of its own."""
    assert "in memory" in refusal(memory).reason
