"""Where registry and HSM are: SQLite, PostgreSQL, and a replica that draws through p11-kit remoting."""

import json
import re
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from bench import client, load
from bench.client import Caller
from bench.processes import Family, Program, listening_on, monotonic, running, sleep
from bench.section import Bar, Figures, Rounds, Section, Terms, difference, ratio, value
from bench.servers import BIN, PASSWORD, connect, new_cluster, new_key_store, serve_command, serving
from tests.postgres import Postgres, postgres_running

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"
REMOTE: Final = "PostgreSQL, p11-kit remoting"

_START_WITHIN: Final = 60.0  # seconds
_COUNTED_WITHIN: Final = 1.2  # seconds: a busy backend adds up what it has done once a second
_TRANSACTIONS: Final = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s"

_EXPLANATION: Final = """\
The same draw over 64 connections from servers with a registry in SQLite, in PostgreSQL, and, in the third
column, from a replica whose cluster's token is behind p11-kit remoting (`hsmstore hsm serve`). CPU time
counts the server's processes and, where there is one, those that own the token. PostgreSQL's is told
apart: it is what leases, notifications and the ticker cost, however many draws there are. Transactions
per draw are those beyond what the same time costs without draws; each statement of a draw would be in
one."""

CPU: Final = "CPU per request, µs"
OWNER: Final = "of it the token's owner's"
_PER_DRAW: Final = "transactions per draw"

BARS: Final = (
    Bar(
        "CPU per draw over PostgreSQL, times that over SQLite, same local module",
        ratio(POSTGRESQL, SQLITE, CPU),
        most=1.10,
    ),
    Bar(
        "transactions per draw over PostgreSQL (none, but for noise)",
        value(POSTGRESQL, _PER_DRAW),
        most=0.001,
    ),
    Bar(
        "CPU per draw through p11-kit remoting over PostgreSQL, µs more than embedded",
        difference(REMOTE, SQLITE, CPU),
        most=60,
    ),
)


def sections() -> list[Section]:
    """Return the registries."""
    title = "The registry in PostgreSQL, the HSM behind p11-kit remoting"
    return [Section("registries", title, _EXPLANATION, measure, lasts, BARS)]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    return 12 + terms.rounds * (
        3 * (1 + load.whole(terms.seconds)) + 2 * (load.whole(terms.seconds) + 3 * _COUNTED_WITHIN)
    )


def measure(terms: Terms) -> Rounds:
    """Set three servers up, then measure in turn."""
    with ExitStack() as stack:
        terms.say("setting up PostgreSQL, a served token and three servers")
        postgres = stack.enter_context(postgres_running())
        sites = {
            SQLITE: _site(stack, terms, "sqlite", None),
            POSTGRESQL: _site(stack, terms, "postgresql", postgres),
            REMOTE: _site(stack, terms, "remote", postgres, _served_token(stack, terms.directory / "token")),
        }
        for _ in range(terms.rounds):
            figures = {}
            for column, site in sites.items():
                terms.say(column)
                figures[column] = site.measure(terms)
            yield figures


class Database(NamedTuple):
    """A database, and the processes of its server."""

    postgres: Postgres
    name: str
    family: Family

    def transactions(self) -> int:
        """Return how many there have been, when all that are over have been counted."""
        sleep(_COUNTED_WITHIN)
        ((count,),) = self.postgres.execute(_TRANSACTIONS, self.name)
        return int(count)


class Site(NamedTuple):
    """A server, who owns its token if not itself, and its database if it is PostgreSQL."""

    port: int
    family: Family
    draws: Path
    owner: Family | None = None
    database: Database | None = None

    def measure(self, terms: Terms) -> Figures:
        """Draw, and tell what it took."""
        load.warm_up(terms, self.port, self.draws)
        seconds = terms.seconds
        if self.database is None:
            return self._load(seconds)
        start, before = monotonic(), self.database.transactions()
        sleep(seconds)
        middle, between = monotonic(), self.database.transactions()
        figures = self._load(seconds)
        end, after = monotonic(), self.database.transactions()
        expected = (between - before) / (middle - start) * (end - middle)
        draws = figures["requests/s"] * load.whole(seconds)
        return figures | {_PER_DRAW: max(0.0, after - between - expected) / draws}

    def _load(self, seconds: float) -> Figures:
        stored = self._server_of_database
        before = [one.cpu() if one else 0.0 for one in (self.owner, stored)]
        figures = load.over_http(self.family, self.port, self.draws, load.MANY, seconds)
        owner, database = (
            one.cpu() - cpu if one else 0.0 for one, cpu in zip((self.owner, stored), before, strict=True)
        )
        if self.owner:
            each = owner / (figures["requests/s"] * load.whole(seconds)) * 1e6
            figures |= {CPU: figures[CPU] + each, OWNER: each}
        if stored:
            figures["PostgreSQL's CPU meanwhile, ms a second"] = database * 1e3 / load.whole(seconds)
        return figures

    @property
    def _server_of_database(self) -> Family | None:
        return self.database.family if self.database else None


def _site(
    stack: ExitStack, terms: Terms, name: str, postgres: Postgres | None, hsm: "Hsm | None" = None
) -> Site:
    """Start a server with a connected key store; it lives as long as `stack`."""
    url = postgres.new_database() if postgres else None
    options = ["--database-url", url] if url else []
    command = serve_command(terms.directory / name, terms.threads, *options)
    port, program, _ = stack.enter_context(serving(command, terms.directory / f"{name}.log"))
    with closing(Caller(port)) as call:
        cluster = new_cluster(port, **(hsm.members if hsm else {}))
        key_store_id = new_key_store(call, "bench", cluster, hsm.password if hsm else PASSWORD)
        connect(call, key_store_id)
    draws = load.script([client.generate_random(port, key_store_id)], terms.directory / f"{name}.lua")
    return Site(port, program, draws, hsm and hsm.program, _database(postgres, url))


def _database(postgres: Postgres | None, url: str | None) -> Database | None:
    if postgres is None or url is None:
        return None
    parts = urlsplit(url)
    family = listening_on(parts.port or 0)
    if family is None:
        raise RuntimeError("the processes of PostgreSQL cannot be seen")
    return Database(postgres, parts.path.strip("/"), family)


class Hsm(NamedTuple):
    """A token behind p11-kit remoting: who owns it, and how a cluster is made of it."""

    program: Program
    members: dict[str, str]
    password: str


def _served_token(stack: ExitStack, directory: Path) -> Hsm:
    """Serve a token for as long as `stack` lives."""
    command = [str(BIN / "hsmstore"), "hsm", "serve", "--json", "--data-dir", str(directory)]
    program = stack.enter_context(running(command, directory.with_suffix(".log")))
    end = monotonic() + _START_WITHIN
    while (said := _document(program.log)) is None:
        program.require_alive()
        if monotonic() > end:
            raise RuntimeError(f"no token within {_START_WITHIN:.0f} s:\n{program.log}")
        sleep(0.01)
    members = {
        "Pkcs11Profile": "p11-kit",
        "Pkcs11Address": said["Address"],
        "TokenLabel": said["Token"],
        "CryptoOfficerPin": Path(said["CryptoOfficerPinFile"]).read_text(),
    }
    return Hsm(program, members, Path(said["KmsuserPasswordFile"]).read_text())


def _document(log: str) -> Any:
    """Return the JSON object that stands in a log, or None while it is not there."""
    found = re.search(r"^\{$.*?^\}$", log, re.MULTILINE | re.DOTALL)
    return found and json.loads(found[0])
