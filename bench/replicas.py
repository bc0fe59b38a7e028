"""`python -m bench.replicas --replicas 300`: what many replicas ask of one PostgreSQL, and what it costs.

Each simulated replica does to the registry what a real one does while nothing happens, by the same code: it
listens, looks every half second for what is due, and three times in a lease it renews, looks at what it
holds, and sweeps. There is no HSM and no HTTP. Meanwhile a key store changes now and then, and the time is
taken until everybody has heard of it.

All of them live in this one process, whose own CPU time is shown: near one core, the latencies are its own.
"""

import argparse
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Final

from bench.database import Database, database_running
from bench.processes import monotonic, sleep
from hsmstore.bootstrap.threads import TICK_OF_REPLICAS
from hsmstore.domain.errors import Conflict
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore
from hsmstore.domain.lease import LEASE, RENEWALS
from hsmstore.domain.notices import ANYTHING, Notice
from hsmstore.storage.migrations import upgrade
from hsmstore.storage.notices import open_notices
from hsmstore.storage.registry import SqlRegistry

PERIOD: Final = LEASE / RENEWALS  # seconds
CONNECTIONS: Final = 3  # of an idle replica: one reads, one writes, one listens
SPARE: Final = 20  # connections of nobody's
BETWEEN_CHANGES: Final = 1.0  # seconds

_STORE: Final = KeyStore(
    id="cks-00000000000000001",
    scope=Scope("123456789012", "us-east-1"),
    name="bench",
    created_at=1.0,
    state_since=1.0,
    backing=CloudHsmBacking(cluster_id="cluster-1", trust_anchor_certificate="PEM", password=b"sealed"),
)


@dataclass
class Tally:
    """What was seen of all replicas; appending to a list needs no lock."""

    renewals: list[float] = field(default_factory=list)  # seconds each
    rounds: list[float] = field(default_factory=list)  # seconds each: renewal, look, sweep
    conflicts: list[str] = field(default_factory=list)
    lapsed: list[int] = field(default_factory=list)


class Replica:
    """One replica, as the database sees it."""

    def __init__(self, url: str, number: int, tally: Tally) -> None:
        """Take a lease and begin to listen."""
        self._lease_id = f"lease-{number:016x}"
        self._number = number
        self._tally = tally
        self._registry = SqlRegistry(url)
        self._notices = open_notices(url)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._delay = 0.0
        self._ticks = 0
        self.heard: dict[Notice, list[float]] = {}
        self._again(self._begin)
        self._notices.start(self._hear)

    def start(self, delay: float) -> None:
        """Tick and renew for the first time after so many seconds."""
        self._delay = delay
        self._thread.start()

    def stop(self) -> None:
        """End the round under way, then the connections."""
        self._stopping.set()
        self._thread.join()
        self._notices.stop()
        self._registry.close()

    def _hear(self, notice: Notice) -> None:
        self.heard.setdefault(notice, []).append(monotonic())

    def _run(self) -> None:
        due = monotonic() + self._delay
        while not self._stopping.wait(self._delay if not self._ticks else TICK_OF_REPLICAS):
            self._ticks += 1
            self._tick()
            if monotonic() >= due:
                due += PERIOD
                self._round()

    def _tick(self) -> None:
        with self._registry.reading() as unit:
            unit.due_key_stores(0.0)

    def _round(self) -> None:
        started = monotonic()
        self._again(self._renew)
        self._tally.renewals.append(monotonic() - started)
        self._look()
        self._again(self._sweep)
        self._tally.rounds.append(monotonic() - started)

    def _begin(self) -> None:
        with self._registry.renewing() as leases:
            leases.begin(self._lease_id, LEASE)

    def _renew(self) -> None:
        with self._registry.renewing() as leases:
            renewed = leases.renew(self._lease_id, LEASE)
        if not renewed:
            self._tally.lapsed.append(self._number)

    def _look(self) -> None:
        with self._registry.reading() as unit:
            unit.leases.holdings(self._lease_id)
        with self._registry.reading() as unit:
            unit.faults()
        with self._registry.reading() as unit:
            unit.clock()

    def _sweep(self) -> None:
        with self._registry.renewing() as leases:
            leases.sweep()

    def _again(self, step: Callable[[], None]) -> None:
        while True:
            try:
                return step()
            except Conflict:
                self._tally.conflicts.append(step.__name__)


def measure(database: Database, count: int, seconds: float) -> dict[str, str]:
    """Let so many replicas renew for so long; return what it cost."""
    upgrade(database.url)
    tally = Tally()
    replicas = [Replica(database.url, number, tally) for number in range(count)]
    registry = SqlRegistry(database.url)
    with registry.writing() as unit:
        unit.add_key_store(_STORE)
    before = _state(database)
    for number, replica in enumerate(replicas):
        replica.start(PERIOD * (number + 1) / count)
    latencies = _changes(registry, replicas, seconds)
    after = _state(database)
    for replica in replicas:
        replica.stop()
    registry.close()
    return _figures(count, tally, latencies, [b - a for a, b in zip(before, after, strict=True)])


def _state(database: Database) -> list[float]:
    """Return the time, the CPU of the database and of this process, bytes of WAL, transactions."""
    wal = database.one("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    transactions = database.one("SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database")
    mine = os.times()
    return [monotonic(), database.cpu(), mine.user + mine.system, float(wal), float(transactions)]


def _changes(registry: SqlRegistry, replicas: Sequence[Replica], seconds: float) -> list[list[float]]:
    """Change the store now and then; return for each change after how long each replica had heard of it."""
    end, store, begun = monotonic() + seconds, _STORE, []
    while monotonic() < end - BETWEEN_CHANGES:
        sleep(BETWEEN_CHANGES)
        begun.append(monotonic())
        with registry.writing() as unit:
            store = unit.replace_key_store(store, store)
    sleep(max(0.0, end - monotonic()))
    heard = [
        next((times for notice, times in replica.heard.items() if notice != ANYTHING), [])
        for replica in replicas
    ]
    complete = [times[-len(begun) :] for times in heard if len(times) >= len(begun)]
    return [[times[change] - at for times in complete] for change, at in enumerate(begun)]


def _figures(count: int, tally: Tally, latencies: list[list[float]], spent: list[float]) -> dict[str, str]:
    seconds, cpu, own_cpu, wal, transactions = spent
    rounds = len(tally.rounds)  # each with the ticks that fall into its time
    return {
        "replicas": f"{count}",
        "renewals/s": f"{rounds / seconds:.0f} (of {count / PERIOD:.0f} due)",
        "the database's CPU, cores": f"{cpu / seconds:.2f}",
        "the database's CPU per round, µs": f"{1e6 * cpu / rounds:,.0f}",
        "WAL per round, bytes": f"{wal / rounds:,.0f}",
        "transactions per round": f"{transactions / rounds:.1f}",
        "started again, per 1,000 rounds": f"{1000 * len(tally.conflicts) / rounds:.1f}",
        "judged lapsed": f"{len(tally.lapsed)}",
        "renewal p50, p99, ms": _milliseconds(tally.renewals),
        "round p50, p99, ms": _milliseconds(tally.rounds),
        "change written and heard by half, by all, ms": ", ".join(
            f"{1000 * median(pick(each) for each in latencies):.1f}" for pick in (median, max)
        ),
        "this process's CPU, cores": f"{own_cpu / seconds:.2f}",
    }


def _milliseconds(seconds: list[float]) -> str:
    return f"{1000 * median(seconds):.1f}, {1000 * quantiles(seconds, n=100)[-1]:.1f}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.replicas", description=__doc__)
    parser.add_argument("--replicas", type=int, default=100, help="how many (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="for how long (%(default)s)")
    arguments = parser.parse_args()
    with database_running(CONNECTIONS * arguments.replicas + SPARE) as database:
        for name, figure in measure(database, arguments.replicas, arguments.seconds).items():
            print(f"{name}: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
