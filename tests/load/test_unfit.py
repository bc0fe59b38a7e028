"""Where a server cannot serve: exit code 4, one line that says what mends it, and nothing touched."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.registries import REGISTRIES
from tests.server import Server, running

UNFIT = 4
LOCK = "owner.lock"  # who tries to own a directory writes its pid there


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Return a data directory that a server has used."""
    with running(tmp_path / "data") as server:
        server.new_store("store")
    return server.data_dir


def refusal_of(data_dir: Path, port: int) -> str:
    """Try to serve there; return the one line that says why that cannot be."""
    command = [sys.executable, "-m", "hsmstore", "serve", "--no-demo", "--data-dir", str(data_dir)]
    command += REGISTRIES.options(data_dir)
    ended = subprocess.run(
        [*command, "--port", str(port)], check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == UNFIT, ended
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("hsmstore: ")
    assert "; " in line, "the mend stands behind a semicolon"
    return line


def content(directory: Path) -> dict[str, bytes]:
    """Return every file below the directory, but the lock."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name != LOCK)
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@contextmanager
def untouched(directory: Path) -> Iterator[None]:
    """See that nothing below the directory changes while the context lasts."""
    before = content(directory)
    yield
    assert content(directory) == before


def test_a_directory_has_one_owner(server: Server) -> None:
    """The second server on a data directory is refused, and told the pid of the first."""
    other = Server(server.data_dir)
    before = server.manage("GET", "/clusters")
    assert f"process {server.pid};" in refusal_of(server.data_dir, other.port)
    assert server.manage("GET", "/clusters") == before


def test_a_killed_owner_leaves_no_lock(tmp_path: Path) -> None:
    """The directory of a killed server is free at once."""
    with running(tmp_path / "data") as server:
        server.kill()
        server.start()


def test_a_port_in_use(server: Server, tmp_path: Path) -> None:
    """A port that somebody listens on is refused before a data directory is made."""
    line = refusal_of(tmp_path / "data", server.port)
    assert f"127.0.0.1:{server.port}" in line
    assert "--port" in line
    assert not (tmp_path / "data").exists()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("keep", "filler", "reason"),
    [(0, b"\xff" * 4096, "is not a SQLite database"), (4096, b"\xff" * 65536, "is damaged")],
    ids=["no database", "damaged pages"],
)
def test_a_corrupt_registry(data_dir: Path, keep: int, filler: bytes, reason: str) -> None:
    """A registry that is no database, or one with broken pages, is named and left alone."""
    registry = data_dir / "registry.sqlite3"
    registry.write_bytes(registry.read_bytes()[:keep] + filler)
    with untouched(data_dir):
        line = refusal_of(data_dir, Server(data_dir).port)
    assert f"{registry} {reason}" in line


@pytest.mark.sqlite
def test_a_newer_registry(data_dir: Path) -> None:
    """A registry that a later version has migrated is left to that version."""
    registry = data_dir / "registry.sqlite3"
    with closing(sqlite3.connect(registry)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with untouched(data_dir):
        line = refusal_of(data_dir, Server(data_dir).port)
    assert "written by a newer hsmstore" in line


@pytest.mark.sqlite
def test_a_locked_registry(data_dir: Path) -> None:
    """A registry that another program keeps locked is waited for a while, and refused."""
    registry = data_dir / "registry.sqlite3"
    # Closing any descriptor of the file, as a look at its content does, would lose this process's lock.
    with untouched(data_dir), closing(sqlite3.connect(registry, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        line = refusal_of(data_dir, Server(data_dir).port)
    assert f"{registry} has been locked by another program" in line


def test_a_lost_master_key(data_dir: Path) -> None:
    """Without the key that its secrets are sealed with, a registry is not served, and no new key is made."""
    (data_dir / "master.key").unlink()
    with untouched(data_dir):
        assert "restore it from a backup" in refusal_of(data_dir, Server(data_dir).port)
