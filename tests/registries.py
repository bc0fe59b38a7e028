"""Where the servers of this run keep their registries: each in its data directory, or on PostgreSQL.

`pytest --registry postgresql` gives every data directory a database of its own.
"""

from enum import StrEnum
from pathlib import Path

import pytest

from tests.postgres import Postgres


class Engine(StrEnum):
    """What a run can keep its registries in. A test marked with the name of one belongs to that run only."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


ONCE = frozenset(
    {"attestation", "bench", "clients", "console", "domain", "house", "hsm", "http", "logs", "model_checking"}
    | {"package", "pages", "policy", "system", "testing", "tracing"}
)
"""Directories whose tests are not about the registry: they open none, or one of their own, or any would do.

They belong to the run on SQLite.
"""


class Registries:
    """The registry's URL for each data directory, made when it is first asked for."""

    def __init__(self) -> None:
        self._urls: dict[Path, str] = {}
        self.postgres: Postgres | None = None

    def url(self, data_dir: Path) -> str:
        """Return the URL of the data directory's registry."""
        if self.postgres is None:
            return f"sqlite:///{data_dir}/registry.sqlite3"
        if data_dir not in self._urls:
            self._urls[data_dir] = self.postgres.new_database()
        return self._urls[data_dir]

    def options(self, data_dir: Path) -> list[str]:
        """Return what a command must be told beside its data directory."""
        return [] if self.postgres is None else ["--database-url", self.url(data_dir)]

    def copy(self, data_dir: Path, to: Path) -> None:
        """Give `to` what is in the registry of `data_dir`; SQLite's file is copied with its directory."""
        if self.postgres is not None:
            self._urls[to] = self.postgres.new_database(self.url(data_dir))

    def drop(self, below: Path) -> None:
        """Drop the databases of data directories below a path: each takes eight megabytes."""
        assert self.postgres is not None
        for data_dir in [path for path in self._urls if path.is_relative_to(below)]:
            self.postgres.drop_database(self._urls.pop(data_dir))


REGISTRIES = Registries()


def belongs(item: pytest.Item, engine: Engine) -> bool:
    """Tell whether a test belongs to the run on `engine`."""
    marked = (Engine(marker.name) for marker in item.iter_markers() if marker.name in set(Engine))
    default = Engine.SQLITE if item.path.parent.name in ONCE else engine
    return next(marked, default) is engine
