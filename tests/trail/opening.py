"""A trail in a directory and a registry of its own, and what is in its files."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hsmstore.domain.clock import ClockSetting
from hsmstore.storage.migrations import upgrade
from hsmstore.storage.registry import SqlRegistry
from hsmstore.system.clock import SystemClock
from hsmstore.system.entropy import SystemEntropy
from hsmstore.trail.files import Retention, trail_files
from hsmstore.trail.writer import FileTrail, open_trail
from tests.registries import REGISTRIES
from tests.trail.reading import Record, records


@contextmanager
def open_registry(tmp_path: Path) -> Iterator[SqlRegistry]:
    """Open the registry of a directory, for as long as the context lasts."""
    upgrade(REGISTRIES.url(tmp_path))
    with closing(SqlRegistry(REGISTRIES.url(tmp_path))) as registry:
        yield registry


def written_in(directory: Path) -> list[Record]:
    """Return the records in a trail's files."""
    return [one for path in trail_files(directory) for one in records(path.read_bytes())]


def open_at(directory: Path, registry: SqlRegistry) -> FileTrail:
    """Open the trail of a directory, by a clock that stands still."""
    clock = SystemClock(ClockSetting(1e9, 1e9, 0.0))
    return open_trail(directory, registry, clock, SystemEntropy(), Retention(90, 1_000_000))
