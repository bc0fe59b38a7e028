"""A PostgreSQL of the benchmark's own: durable, as a package installs it, with room for many replicas."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from bench.processes import PROC, free_port, monotonic, sleep

_DEBIAN: Final = Path("/usr/lib/postgresql")
_START_WITHIN: Final = 60.0  # seconds
_USER: Final = "bench"
_AS_POSTGRES: Final = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups")


class Database:
    """A server that runs, and one database in it."""

    def __init__(self, program: "subprocess.Popen[bytes]", port: int) -> None:
        """Take the server at this port of the loopback."""
        self._program = program
        self.url: Final = f"postgresql+psycopg://{_USER}@127.0.0.1:{port}/postgres"
        self._port = port

    def cpu(self) -> float:
        """Return the seconds of CPU that its processes have used, but for those that have ended.

        The scheduler's count is in ns. The ticks of /proc/<pid>/stat would not do: there are hundreds of
        processes, and none of them uses one.
        """
        server = str(self._program.pid)
        family = [server, *(PROC / server / "task" / server / "children").read_text().split()]
        nanoseconds = 0
        for pid in family:
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended since
                nanoseconds += int((PROC / pid / "schedstat").read_text().split()[0])
        return nanoseconds / 1e9

    def one(self, statement: LiteralString) -> Any:
        """Return the one value that the statement yields, or None where it yields nothing."""
        with psycopg.connect(
            host="127.0.0.1", port=self._port, user=_USER, dbname="postgres", autocommit=True
        ) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
        return None if row is None else row[0]


@contextmanager
def database_running(connections: int) -> Iterator[Database]:
    """Make a cluster, serve it to so many connections, and leave nothing of it behind."""
    home, port = Path(tempfile.mkdtemp(prefix="hsmstore-bench-")), free_port()
    prefix: Sequence[str] = ()
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        shutil.chown(home, "postgres", "postgres")
        prefix = _AS_POSTGRES
    try:
        initdb = [*prefix, _program("initdb"), "-D", f"{home}/cluster", "-U", _USER, "-A", "trust", "-N"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=home)
        command = [*prefix, _program("postgres"), "-D", f"{home}/cluster", "-p", str(port), "-k", str(home)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", f"max_connections={connections}"]
        with _running(command, home / "log") as program:
            database = Database(program, port)
            _wait_for(database, program)
            yield database
    finally:
        shutil.rmtree(home)


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as file:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield program
    finally:
        program.send_signal(signal.SIGINT)  # a fast shutdown, its clients' connections included
        program.wait()


def _wait_for(database: Database, program: "subprocess.Popen[bytes]") -> None:
    end = monotonic() + _START_WITHIN
    while True:
        try:
            database.one("SELECT 1")
        except psycopg.OperationalError:
            if program.poll() is not None or monotonic() > end:
                raise
            sleep(0.02)
        else:
            return


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is not None:
        return found
    versions = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise SystemExit(f"PostgreSQL's {name} is missing: type .ci/setup --tests")
    return str(versions[-1])
