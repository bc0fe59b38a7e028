"""Draws from several clusters while their stores are connected and disconnected: no byte out of turn.

`judge` in `history.py` says what that means. The default form is a sample; `--endurance` makes it a million.
"""

import logging
import multiprocessing
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest

from tests.load.drawing import Draws, Mover, draw_many
from tests.load.history import Verdict, judge
from tests.load.looking import resident
from tests.server import Server, running

log = logging.getLogger(__name__)

STORES = 4
MOVERS = 4
THREADS = 16
PROCESSES = 4
RSS_MAX = 150 * 1024  # KiB: the bar that the issue sets
RSS_GROWTH_MAX = 24 * 1024  # KiB, from the first thousand draws to the last


@contextmanager
def moved(server: Server, key_store_ids: Sequence[str]) -> Iterator[list[Mover]]:
    """Connect and disconnect the stores for as long as the context lasts."""
    done = threading.Event()
    movers = [Mover(server.port, key_store_ids, seed, done) for seed in range(MOVERS)]
    for mover in movers:
        mover.start()
    try:
        yield movers
    finally:
        done.set()
        for mover in movers:
            mover.join()


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[tuple[Server, list[str]]]:
    """Run a server with connected stores that have given their first bytes."""
    with running(tmp_path / "data", "--profile", "instant") as server:
        ids = [server.new_store(f"store {number}") for number in range(STORES)]
        kms = server.kms()
        for key_store_id in ids:
            kms.connect_custom_key_store(CustomKeyStoreId=key_store_id)
        draw_many(server.port, ids, 1000, THREADS)
        yield server, ids


def require_unharmed(server: Server, ids: Sequence[str], before: int, after: int) -> None:
    """See that the server lives, serves each store, has not grown, and has had no surprise."""
    log.info("the server's RSS: %d KiB before, %d KiB after", before, after)
    assert server.manage("GET", "/health")[0] == 200
    for key_store_id in ids:
        assert server.kms().generate_random(NumberOfBytes=32, CustomKeyStoreId=key_store_id)["Plaintext"]
    assert after <= RSS_MAX
    assert after - before <= RSS_GROWTH_MAX
    assert "Traceback" not in server.log


def require_right(verdict: Verdict, wanted: int, movers: Sequence[Mover]) -> None:
    """See that nothing was out of turn, and that there was enough that could have been."""
    log.info("%d moves; %s", sum(len(mover.moves) for mover in movers), verdict._replace(violations=[]))
    for mover in movers:
        assert mover.failure is None, mover.failure
        assert len(mover.moves) > 10
    assert verdict.violations[:10] == []
    assert verdict.draws >= wanted
    assert verdict.draws_while_shut > wanted / 1000
    assert verdict.draws_while_open > wanted / 100


def verdict_on(draws: Sequence[Draws], movers: Sequence[Mover]) -> Verdict:
    """Judge what was recorded."""
    return judge(
        chain.from_iterable(draws),
        [move for mover in movers for move in mover.moves],
        [look for mover in movers for look in mover.looks],
    )


@pytest.mark.sqlite  # replicas over PostgreSQL have their own: tests/replicas/test_processes.py
@pytest.mark.endurance
def test_threads(loaded: tuple[Server, list[str]], *, endurance: bool) -> None:
    """Sixteen threads draw at once, and get nothing out of turn."""
    server, ids = loaded
    wanted = 1_000_000 if endurance else 20_000
    before = resident(server)
    with moved(server, ids) as movers:
        draws = draw_many(server.port, ids, wanted, THREADS)
    after = resident(server)
    verdict = verdict_on([draws], movers)
    require_right(verdict, wanted, movers)
    require_unharmed(server, ids, before, after)


@pytest.mark.endurance
def test_processes(loaded: tuple[Server, list[str]], *, endurance: bool) -> None:
    """Four processes of four threads each draw at once, and get nothing out of turn."""
    server, ids = loaded
    wanted = 1_000_000 if endurance else 10_000
    before = resident(server)
    # A process of its own, not a fork: this one has threads.
    pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"))
    with pool, moved(server, ids) as movers:
        tasks = [
            pool.submit(draw_many, server.port, ids, wanted // PROCESSES, THREADS // PROCESSES)
            for _ in range(PROCESSES)
        ]
        draws = [task.result() for task in tasks]
    after = resident(server)
    verdict = verdict_on(draws, movers)
    require_right(verdict, wanted, movers)
    require_unharmed(server, ids, before, after)
