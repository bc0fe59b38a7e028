"""Draws while others call what is slow: how long they take beside Describe, Create and Connect."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import client, load
from bench.client import Caller
from bench.processes import Family
from bench.section import Figures, Rounds, Section, Terms
from bench.servers import (
    connect,
    connected_key_store,
    disconnect,
    new_cluster,
    new_external_store,
    new_key_store,
    serve_command,
    serving,
)

DRAWING: Final = 4  # connections
REGISTERED: Final = 200  # key stores, for Describe to tell of
QUICK_REGISTERED: Final = 20
ALONE: Final = "alone"
BESIDE: Final = "beside slow calls"
ELSEWHERE: Final = "slow calls go elsewhere"

_EXPLANATION: Final = """\
Draws over four connections, as fast as they are answered, and three clients that call without a pause:
one describes 200 key stores, one creates and deletes, one connects and disconnects. In the third column
these three call another server on the same machine: that is what sharing its cores costs, and the rest of
the second column is what slow calls cost the draws of their own server."""


def sections() -> list[Section]:
    """Return the mixed load."""
    return [Section("mixed", "Draws beside slow calls", _EXPLANATION, measure, lasts)]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes."""
    return 6 + terms.rounds * 3 * (0.5 + load.whole(terms.seconds))


class Scene(NamedTuple):
    """A server with a connected key store, one that comes and goes, and others to tell of."""

    port: int
    family: Family
    draws: Path
    spare: str


def measure(terms: Terms) -> Rounds:
    """Set two servers up, then measure in turn."""
    terms.say("setting up")
    with set_up(terms, "own") as own, set_up(terms, "other") as other:
        load.warm_up(terms, own.port, own.draws, DRAWING)
        for _ in range(terms.rounds):
            figures = {}
            for column, disturbed in ((ALONE, None), (BESIDE, own), (ELSEWHERE, other)):
                terms.say(column)
                figures[column] = _drawing(own, disturbed, terms.seconds)
            yield figures


@contextmanager
def set_up(terms: Terms, name: str) -> Iterator[Scene]:
    """Serve a connected key store, and others, for as long as the context lasts."""
    registered = QUICK_REGISTERED if terms.quick else REGISTERED
    command = serve_command(terms.directory / name, terms.threads, "--key-store-quota", str(registered + 9))
    with serving(command, terms.directory / f"{name}.log") as (port, program, _):
        request = client.generate_random(port, connected_key_store(port))
        with closing(Caller(port)) as call:
            spare = new_key_store(call, "spare", new_cluster(port))
            for number in range(registered - 2):
                new_external_store(call, f"external-{number}")
        yield Scene(port, program, load.script([request], terms.directory / f"{name}.lua"), spare)


def _drawing(scene: Scene, disturbed: Scene | None, seconds: float) -> Figures:
    """Draw from `scene` while slow calls go to `disturbed`, and count both."""
    with slow_calls(disturbed) as clients:
        before = sum(one.answered for one in clients)
        told = load.wrk(scene.port, scene.draws, DRAWING, seconds)
        answered = sum(one.answered for one in clients) - before
    return {
        "draws/s": told["requests"] / told["seconds"],
        "latency p50, µs": told["p50"],
        "latency p99, µs": told["p99"],
        "slow calls/s": answered / told["seconds"],
    }


@contextmanager
def slow_calls(scene: Scene | None) -> Iterator[list["SlowClient"]]:
    """Call what is slow for as long as the context lasts, if anybody is to be disturbed."""
    if scene is None:
        yield []
        return
    steps: list[Callable[[Caller], int]] = [
        _describe,
        _create_and_delete,
        lambda call: _connect_and_disconnect(call, scene.spare),
    ]
    clients = [SlowClient(scene.port, step) for step in steps]
    try:
        yield clients
    finally:
        for one in clients:
            one.end()


class SlowClient(threading.Thread):
    """Takes a step, which tells how many calls it was, again and again."""

    def __init__(self, port: int, step: Callable[[Caller], int]) -> None:
        super().__init__(daemon=True)
        self.answered = 0
        self._port = port
        self._step = step
        self._ended = threading.Event()
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Call until it shall end."""
        try:
            with closing(Caller(self._port)) as call:
                while not self._ended.is_set():
                    self.answered += self._step(call)
        except Exception as error:  # noqa: BLE001  # for whoever ends it
            self._error = error

    def end(self) -> None:
        """End it; fail as it has failed."""
        self._ended.set()
        self.join()
        if self._error is not None:
            raise self._error


def _describe(call: Caller) -> int:
    call("DescribeCustomKeyStores")
    return 1


def _create_and_delete(call: Caller) -> int:
    call("DeleteCustomKeyStore", CustomKeyStoreId=new_external_store(call, "one more"))
    return 2


def _connect_and_disconnect(call: Caller, key_store_id: str) -> int:
    connect(call, key_store_id)
    disconnect(call, key_store_id)
    return 2
