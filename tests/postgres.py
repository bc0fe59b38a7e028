"""A PostgreSQL of the tests' own: one that can be stopped, killed, and replaced by its standby."""

import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Identifier
from sqlalchemy import make_url

OWNER = "keeper"
PASSWORD = "keeper's own"

_DEBIAN = Path("/usr/lib/postgresql")
_KNOWS_STRATEGIES = 150000
_PATIENCE = 60
_RULES = f"""\
local all all trust
host all,replication {OWNER} 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
_SETTINGS = {
    "autovacuum": "off",
    "fsync": "off",  # the tests kill the server, not the machine
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "32MB",
}


class Postgres:
    """A server over a fresh cluster. PostgreSQL refuses to run as root, so root runs it as `postgres`."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="hsmstore-postgres-"))
        self._cluster = self._home / "cluster"
        self._port, self._other_port = _free_port(), _free_port()
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._standby: tuple[Path, subprocess.Popen[bytes]] | None = None
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(self._home, "postgres", "postgres")
            self._identity = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._make_cluster()

    def _make_cluster(self) -> None:
        secret = self._home / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command: list[str | Path] = [program("initdb"), "--pgdata", self._cluster, "--no-sync"]
        command += ["--username", OWNER, "--pwfile", secret, "--encoding", "UTF8", "--locale", "C.UTF-8"]
        self._run(*command)
        (self._cluster / "pg_hba.conf").write_text(_RULES)

    def _run(self, *command: str | Path) -> None:
        subprocess.run(command, check=True, capture_output=True, cwd=self._home, **self._identity)

    @property
    def log(self) -> str:
        """What the server has written since its last start."""
        return (self._home / "log").read_text()

    def url(self, database: str = "postgres", user: str = OWNER, password: str | None = None) -> str:
        """Return the URL of a database; only the owner needs no password."""
        who = user if password is None else f"{user}:{password}"
        return f"postgresql+psycopg://{who}@127.0.0.1:{self._port}/{database}"

    def url_of_both(self, database: str, user: str, password: str) -> str:
        """Return a URL of a database which leads to the server, past its standby, and then to that one."""
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in (self._other_port, self._port))
        return f"postgresql+psycopg://{user}:{password}@/{database}?{hosts}&target_session_attrs=read-write"

    def new_database(self, template: str | None = None) -> str:
        """Make a database that nobody else uses, empty or a copy of the one at `template`; return its URL."""
        name = f"registry_{next(self._numbers)}"
        source = "template0" if template is None else _database(template)
        statement = SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(Identifier, (name, source)))
        with self._connect("postgres") as connection:
            if connection.info.server_version >= _KNOWS_STRATEGIES:
                statement += SQL(" STRATEGY FILE_COPY")  # a fifth of the time, as long as nothing is synced
            connection.execute(statement)
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is still connected to it."""
        with self._connect("postgres") as connection:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(_database(url))))

    def execute(
        self, statement: LiteralString, *parameters: object, url: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Execute one statement as the owner, in the database of `url`, and return its rows."""
        with self._connect(_database(url)) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def dump(self, url: str) -> bytes:
        """Return everything that is in the database, as statements; bytes are in hexadecimal."""
        command: list[str | Path] = [program("pg_dump"), "--dbname", url.replace("+psycopg", "")]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def cut(self, url: str) -> int:
        """End every connection to the database and wait until they are gone; return how many there were."""
        ended = self.execute(
            "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity WHERE datname = %s",
            _PATIENCE * 1000,
            _database(url),
        )
        return len(ended)

    def crash(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers. After a kill its children may take a moment to be gone."""
        while not self._started():
            pass

    def stop(self) -> None:
        """Stop it, its clients' connections included."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill it; the next start recovers what was committed."""
        self._end(signal.SIGKILL)

    def begin_standby(self) -> None:
        """Give it a synchronous standby at the other port."""
        cluster = self._home / f"cluster-{next(self._numbers)}"
        copy: list[str | Path] = [program("pg_basebackup"), "--pgdata", cluster, "--write-recovery-conf"]
        copy += ["--host", "127.0.0.1", "--port", str(self._port), "--username", OWNER]
        self._run(*copy, "--checkpoint", "fast", "--no-sync")
        self._standby = cluster, self._launch(cluster, self._other_port)
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("SELECT pg_reload_conf()")
        while not self.execute("SELECT pid FROM pg_stat_replication WHERE sync_state = 'sync'"):
            assert self._standby[1].poll() is None, self.log
            threading.Event().wait(0.01)
        self.execute("CHECKPOINT")  # from here on each commit waits for the standby
        while not self.execute("SELECT pid FROM pg_stat_replication WHERE flush_lsn >= pg_current_wal_lsn()"):
            threading.Event().wait(0.01)

    def fail_over(self) -> None:
        """Kill it, and let the standby take over."""
        assert self._standby is not None
        self.kill()
        (self._cluster, self._process), self._standby = self._standby, None
        self._port, self._other_port = self._other_port, self._port
        self.execute("SELECT pg_promote()")

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop it if it runs, and remove the cluster from the disk."""
        if self._process is not None:
            self._end(signal.SIGQUIT)  # at once, without putting its pages in order
        if self._standby is not None:
            _, self._process = self._standby
            self._end(signal.SIGQUIT)
        shutil.rmtree(self._home)

    def _end(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(_PATIENCE)
        self._process = None

    def _started(self) -> bool:
        self._process = self._launch(self._cluster, self._port)
        while self._process.poll() is None:
            try:
                self._connect("postgres").close()
            except psycopg.OperationalError:
                threading.Event().wait(0.01)
            else:
                return True
        assert "pre-existing shared memory block" in self.log, self.log
        return False

    def _launch(self, cluster: Path, port: int) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [program("postgres"), "-D", cluster, "-p", str(port), "-k", self._home]
        for name, value in _SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with (self._home / "log").open("wb") as log:
            return subprocess.Popen(
                command, cwd=self._home, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._identity
            )

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self._port, user=OWNER, dbname=database, autocommit=True
        )


@contextmanager
def postgres_running() -> Iterator[Postgres]:
    """Run a server for as long as the context lasts, and leave nothing of it behind."""
    postgres = Postgres()
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.remove()


def _database(url: str | None) -> str:
    return "postgres" if url is None else str(make_url(url).database)


def program(name: str) -> Path:
    """Return the path of one of the server's programs, the newest version's where there are several."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    versions = sorted(_DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    assert versions, f"PostgreSQL's {name} is missing: .ci/setup --tests installs it"
    return versions[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
