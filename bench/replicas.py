"""What many replicas ask of one PostgreSQL, and what it costs: while nothing happens, and when much does."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from bench.crew import Replica, Tally, add_store, replica_running
from bench.database import Database, database_running
from bench.processes import monotonic, sleep
from bench.section import Figures, Rounds, Section, Terms
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import Conflict, EnvironmentUnfit
from hsmstore.domain.keystore import KeyStore
from hsmstore.domain.lease import LEASE, RENEWALS, Leases
from hsmstore.storage.registry import SqlRegistry

SIZES: Final = (30, 100, 200)
QUICK_SIZES: Final = (3,)
PERIOD: Final = LEASE / RENEWALS  # seconds
CONNECTIONS_MAX: Final = 7  # of a replica
SPARE: Final = 20  # connections of nobody's
BETWEEN_CHANGES: Final = 0.05  # seconds
SETTLE_WITHIN: Final = 60.0  # seconds
LOOK: Final = 0.005  # seconds between two looks whether it has
SETUP: Final = 0.08  # seconds to begin a replica and to end it
GATES: Final = 5.0  # seconds of first draws and a disconnect

IDLE: Final = (
    RENEWED := "renewals/s",
    CPU := "PostgreSQL's CPU, cores",
    CPU_EACH := "the same for each renewal, with all that goes along, ms",
    WAL := "WAL, kB/s",
    TRANSACTIONS := "transactions/s",
    CONNECTIONS := "connections",
    LEASES := "transaction on leases, median, ms",
    LEASES_99 := "transaction on leases, 99 %, ms",
    OWN_CPU := "CPU of all replicas, cores",
    LAPSED := "leases that have lapsed",
)
PROPORTIONAL: Final = frozenset({RENEWED, CPU, WAL, TRANSACTIONS, CONNECTIONS})
CHANGES: Final = (
    HALF_HEARD := "a change, half have heard of it after, ms",
    ALL_HEARD := "a change, all have heard of it after, ms",
    HEARING := "a change, PostgreSQL's CPU for each who hears, µs",
)
FIRST_DRAWS: Final = (
    HALF_DRAWN := "first draws, half after, ms",
    ALL_DRAWN := "first draws, all after, ms",
    DRAWS_SENT_BACK := "first draws, sent back, for each",
    REFUSED := "first draws, refused",
    CPU_DRAWING := "first draws, PostgreSQL's CPU for each, ms",
)
DISCONNECTS: Final = (
    LET_GO := "disconnect, nobody holds it after, ms",
    DISCONNECTED := "disconnect, DISCONNECTED after, ms",
    DISCONNECTS_SENT_BACK := "disconnect, sent back, for each",
)
SERIALIZABLE: Final = (
    RENEWALS_SENT_BACK := "renewals if SERIALIZABLE, sent back, for each",
    RENEWAL := "renewals if SERIALIZABLE, median, ms",
    RENEWAL_LONGEST := "renewals if SERIALIZABLE, the longest, ms",
)
"""The rows of the table, by what is done."""

_CONNECTIONS: Final = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"

_EXPLANATION: Final = f"""\
So many replicas over one PostgreSQL as a package installs it, on this machine. All run in one process, by the
server's own code, without HTTP and without HSMs: a login succeeds at once. That process takes more CPU than
the database does, so times are upper bounds; the database's CPU is its own, by the scheduler's count.

- *Nobody asks*: they tick, renew their leases, look and sweep. "On leases" are the transactions that renew
  and sweep.
- *Changes*: a key store that nobody draws from changes {1 / BETWEEN_CHANGES:.0f} times a second. The CPU of
  a change is what the database uses beyond what it uses when nobody asks, told for each replica that hears.
- *First draws*: each replica is asked for its first draw from one key store, all at the same instant. Each
  enters that it holds the store. *Sent back* are transactions that another came before, and that began again.
- *Disconnect*: that key store is disconnected, while all of them hold it.
- *SERIALIZABLE*: what renewals would be if they and the sweeps were transactions like others, begun again at
  once where they are sent back. They are READ COMMITTED."""


def sections() -> list[Section]:
    """Return the replicas."""
    return [Section("replicas", "Many replicas", _EXPLANATION, measure, lasts)]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    each = 3 * _seconds(terms) + GATES
    return terms.rounds * (5 + SETUP * _sizes(terms)[-1] + each * len(_sizes(terms)))


def measure(terms: Terms) -> Rounds:
    """Let their number grow, and measure at each size; begin anew for each round."""
    sizes = _sizes(terms)
    for number in range(terms.rounds):
        home = terms.directory / str(number)
        home.mkdir()
        with database_running(CONNECTIONS_MAX * sizes[-1] + SPARE) as database, ExitStack() as stack:
            crew = Crew(database, home, stack)
            figures = {}
            for size in sizes:
                column = f"{size} replicas"
                terms.say(f"{column}: bringing them")
                crew.grow(size)
                terms.say(column)
                figures[column] = crew.measure(_seconds(terms))
        yield figures


def _sizes(terms: Terms) -> tuple[int, ...]:
    return QUICK_SIZES if terms.quick else SIZES


def _seconds(terms: Terms) -> float:
    return PERIOD if terms.quick else LEASE


class Crew:
    """The replicas of a database, and who watches."""

    def __init__(self, database: Database, home: Path, stack: ExitStack) -> None:
        self._database = database
        self._home = home
        self._stack = stack
        self._tally = Tally()
        self._replicas: list[Replica] = []
        self.grow(1)
        self._registry = stack.enter_context(closing(SqlRegistry(database.url)))
        self._drawn, self._changing = (add_store(self._replicas[0].world, number) for number in (1, 2))

    def grow(self, size: int) -> None:
        """Bring replicas until there are so many. They end with the stack."""
        for number in range(len(self._replicas), size):
            running = replica_running(self._database.url, self._home, number, self._tally)
            self._replicas.append(self._stack.enter_context(running))

    def measure(self, seconds: float) -> Figures:
        """Measure everything once, for so long where it takes as long as one likes."""
        figures = self._doing_nothing(seconds)
        figures |= self._changes(seconds, figures[CPU])
        figures |= self._first_draws() | self._disconnect()
        figures[LAPSED] = sum(replica.has_lapsed for replica in self._replicas)
        return figures | self._serializable(round(seconds / PERIOD))

    def _doing_nothing(self, seconds: float) -> Figures:
        self._tally.leases.clear()
        before = self._spent()
        sleep(seconds)
        length, cpu, own, wal, transactions = (
            after - was for after, was in zip(self._spent(), before, strict=True)
        )
        leases = list(self._tally.leases)
        return {
            RENEWED: len(leases) / 2 / length,
            CPU: cpu / length,
            CPU_EACH: cpu / len(leases) * 2e3,
            WAL: wal / length / 1e3,
            TRANSACTIONS: transactions / length,
            CONNECTIONS: float(self._database.one(_CONNECTIONS)),
            LEASES: median(leases) * 1e3,
            LEASES_99: quantiles(leases, n=100)[-1] * 1e3,
            OWN_CPU: own / length,
        }

    def _spent(self) -> tuple[float, ...]:
        """Return the time, the CPU of the database and of this process, bytes of WAL, transactions."""
        wal = self._database.one("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        transactions = self._database.one("SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database")
        mine = os.times()
        return monotonic(), self._database.cpu(), mine.user + mine.system, float(wal), float(transactions)

    def _changes(self, seconds: float, idle: float) -> Figures:
        """Change a store now and then, and take the time until everybody has heard of it."""
        for replica in self._replicas:
            replica.ear.heeded.clear()
        start, cpu, changed = monotonic(), self._database.cpu(), list[float]()
        while monotonic() < start + seconds:
            changed.append(monotonic())
            with self._registry.writing() as unit:
                self._changing = unit.replace_key_store(self._changing, self._changing)
            sleep(BETWEEN_CHANGES)
        heeded = [replica.ear.heeded for replica in self._replicas]
        _wait(lambda: all(len(each) >= len(changed) for each in heeded))
        cpu = self._database.cpu() - cpu - idle * (monotonic() - start)
        after = [[each[n] - at for each in heeded] for n, at in enumerate(changed)]
        return {
            HALF_HEARD: median(map(median, after)) * 1e3,
            ALL_HEARD: median(map(max, after)) * 1e3,
            HEARING: max(0.0, cpu) / len(changed) / len(heeded) * 1e6,
        }

    def _first_draws(self) -> Figures:
        """Let all replicas draw from a store at the same instant, for the first time."""
        self._replicas[0].connect(self._drawn.id)
        _wait(lambda: self._store().state is ConnectionState.CONNECTED)
        self._tally.sent_back.clear()
        begun, cpu = list[float](), self._database.cpu()
        ready = threading.Barrier(len(self._replicas), action=lambda: begun.append(monotonic()))

        def draw(replica: Replica) -> float | None:
            ready.wait()
            try:
                replica.draw(self._drawn.id)
            except (Conflict, EnvironmentUnfit):
                return None
            return monotonic() - begun[0]

        with ThreadPoolExecutor(len(self._replicas)) as pool:
            told = list(pool.map(draw, self._replicas))
        drawn = [seconds for seconds in told if seconds is not None]
        return {
            HALF_DRAWN: median(drawn) * 1e3,
            ALL_DRAWN: max(drawn) * 1e3,
            DRAWS_SENT_BACK: len(self._tally.sent_back) / len(told),
            REFUSED: len(told) - len(drawn),
            CPU_DRAWING: (self._database.cpu() - cpu) / len(told) * 1e3,
        }

    def _disconnect(self) -> Figures:
        """Disconnect the store that all hold."""
        self._tally.sent_back.clear()
        begun = monotonic()
        self._replicas[0].disconnect(self._drawn.id)
        _wait(lambda: not self._is_held())
        let_go = monotonic()
        _wait(lambda: self._store().state is ConnectionState.DISCONNECTED)
        return {
            LET_GO: (let_go - begun) * 1e3,
            DISCONNECTED: (monotonic() - begun) * 1e3,
            DISCONNECTS_SENT_BACK: len(self._tally.sent_back) / len(self._replicas),
        }

    def _store(self) -> KeyStore:
        with self._registry.reading() as unit:
            store = unit.key_store(self._drawn.scope, self._drawn.id)
        assert store is not None  # noqa: S101  # nobody deletes it
        return store

    def _is_held(self) -> bool:
        with self._registry.reading() as unit:
            return unit.leases.is_held(self._drawn.id)

    def _serializable(self, periods: int) -> Figures:
        """Renew and sweep once in each period, spread over it, in transactions like others."""
        self._database.one("ANALYZE replicas")  # as autovacuum does once in a while: the plan depends on it
        sent_back: list[Replica] = []
        start = monotonic()

        def keep(number: int) -> list[float]:
            replica, told = self._replicas[number], list[float]()
            for due in (start + PERIOD * (time + number / len(self._replicas)) for time in range(periods)):
                sleep(max(0.0, due - monotonic()))
                sent_back.extend([replica] * _serially(replica, _renew))
                told.append(monotonic() - due)
                sent_back.extend([replica] * _serially(replica, lambda _, leases: leases.sweep()))
            return told

        with ThreadPoolExecutor(len(self._replicas)) as pool:
            renewed = [told for each in pool.map(keep, range(len(self._replicas))) for told in each]
        return {
            RENEWALS_SENT_BACK: len(sent_back) / len(renewed),
            RENEWAL: median(renewed) * 1e3,
            RENEWAL_LONGEST: max(renewed) * 1e3,
        }


def _renew(replica: Replica, leases: Leases) -> None:
    leases.renew(replica.world.replica.lease.id, LEASE)


def _serially(replica: Replica, step: Callable[[Replica, Leases], None]) -> int:
    """Take a step in a SERIALIZABLE transaction; return how often it was sent back, in a lease at most."""
    sent_back, end = 0, monotonic() + LEASE
    while monotonic() < end:
        try:
            with replica.world.registry.writing() as unit:
                step(replica, unit.leases)
                break
        except (Conflict, EnvironmentUnfit):
            sent_back += 1
    return sent_back


def _wait(done: Callable[[], bool]) -> None:
    end = monotonic() + SETTLE_WITHIN
    while not done():
        if monotonic() > end:
            raise RuntimeError(f"not within {SETTLE_WITHIN:.0f} s")
        sleep(LOOK)
