"""Many key stores: what a draw, a look and a life cost when few are registered, and when ten thousand are."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from bench import client, load
from bench.client import Caller
from bench.processes import Family, monotonic
from bench.section import Bar, Figures, Rounds, Section, Terms, ratio, value
from bench.servers import (
    connect,
    disconnect,
    new_cluster,
    new_external_store,
    new_key_store,
    serve_command,
    serving,
)

T = TypeVar("T")

PAGE: Final = 1000
BODIES: Final = 100  # that wrk sends in turn, whether they name one key store or as many
QUOTA: Final = 20_000
ROOM: Final = 0.5  # seconds for each kind of call

_EXPLANATION: Final = """\
One server for each column, with so many key stores registered in one account and Region. Draws go to all
connected ones in turn, over 64 connections; each has a token and a module of its own. One more, with a token
too, is there to be connected and disconnected; the other registered ones are external key stores. Lives are
those of the `instant` profile, through the wire, by one client, one call after the other. Create and Delete
are those of an external key store: a row, and no token. A Connect counts until Describe says CONNECTED,
password rotation included, a Disconnect until it says DISCONNECTED. CPU time is the server's."""


class Size(NamedTuple):
    """How many key stores a server has."""

    registered: int
    connected: int

    @property
    def column(self) -> str:
        """Its name in the table."""
        noun = "store" if self.registered == 1 else "stores"
        return f"{self.registered:,} {noun}, {self.connected:,} connected"


SIZES: Final = (Size(2, 1), Size(10, 1), Size(1000, 1), Size(10_000, 100))
QUICK_SIZES: Final = (Size(100, 3),)

_DRAW: Final = "CPU per request, µs"
_DESCRIBE: Final = "Describe, a page of at most 1,000, CPU ms"

BARS: Final = (
    Bar(
        "CPU per draw with 10,000 stores, 100 of them connected, times that with 2, 1 of them",
        ratio(SIZES[-1].column, SIZES[0].column, _DRAW),
        most=1.10,
        why="what a hundred copies of a module write to does not fit into the processor's nearer caches",
    ),
    Bar(
        "DescribeCustomKeyStores, page of 1,000 of 10,000, CPU ms",
        value(SIZES[-1].column, _DESCRIBE),
        most=30,
    ),
)


def sections() -> list[Section]:
    """Return the crowd."""
    return [Section("crowd", "Many key stores", _EXPLANATION, measure, lasts, BARS)]


def lasts(terms: Terms) -> float:
    """Tell about how many seconds it takes: to set up, and in rounds."""
    sizes = _sizes(terms)
    made = sum(2 + 0.003 * size.registered + 0.15 * size.connected for size in sizes)
    return made + terms.rounds * len(sizes) * (1.5 + 5 * ROOM + load.whole(terms.seconds))


def measure(terms: Terms) -> Rounds:
    """Set all servers up, then measure them in turn."""
    with ExitStack() as stack:
        crowds = {}
        for size in _sizes(terms):
            terms.say(f"setting up {size.column}")
            crowds[size.column] = _crowd(stack, terms, size)
        for _ in range(terms.rounds):
            figures = {}
            for column, crowd in crowds.items():
                terms.say(column)
                figures[column] = crowd.measure(terms)
            yield figures


def _sizes(terms: Terms) -> tuple[Size, ...]:
    return QUICK_SIZES if terms.quick else SIZES


class Crowd(NamedTuple):
    """A server that is set up, and one key store more, which is connected and disconnected."""

    port: int
    family: Family
    call: Caller
    draws: Path
    spare: str

    def measure(self, terms: Terms) -> Figures:
        """Measure everything once."""
        load.warm_up(terms, self.port, self.draws)
        figures = load.over_http(self.family, self.port, self.draws, load.MANY, terms.seconds)
        figures |= {
            _DESCRIBE: self._cpu(lambda: self.call("DescribeCustomKeyStores", Limit=PAGE)),
            "Describe, one by its id, CPU ms": self._cpu(
                lambda: self.call("DescribeCustomKeyStores", CustomKeyStoreId=self.spare)
            ),
        }
        return figures | self._lives() | {"RSS, MB": self.family.rss()}

    def _cpu(self, call: Callable[[], object]) -> float:
        """Return the server's CPU time for a call, in ms."""
        before = self.family.cpu()
        calls = sum(1 for _ in load.timed(call, ROOM))
        return (self.family.cpu() - before) / calls * 1e3

    def _lives(self) -> Figures:
        """Return how often a second one client can take each step of a life."""
        watch = _Watch()
        end = monotonic() + ROOM
        while monotonic() < end:
            made = watch.time("Create/s", lambda: new_external_store(self.call, "one more"))
            watch.time("Delete/s", partial(self.call, "DeleteCustomKeyStore", CustomKeyStoreId=made))
        end = monotonic() + ROOM
        while monotonic() < end:
            watch.time("Connect/s", lambda: connect(self.call, self.spare))
            watch.time("Disconnect/s", lambda: disconnect(self.call, self.spare))
        return watch.rates()


class _Watch:
    """Adds up the time of steps by their names."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    def time(self, name: str, step: Callable[[], T]) -> T:
        """Take a step."""
        start = monotonic()
        result = step()
        self._seconds.setdefault(name, []).append(monotonic() - start)
        return result

    def rates(self) -> Figures:
        """Return how many of each a second there would be without the others."""
        return {name: len(times) / sum(times) for name, times in self._seconds.items()}


def _crowd(stack: ExitStack, terms: Terms, size: Size) -> Crowd:
    """Start a server and register everything; it lives as long as `stack`."""
    name = f"of-{size.registered}"
    command = serve_command(terms.directory / name, terms.threads, "--key-store-quota", str(QUOTA))
    port, program, _ = stack.enter_context(serving(command, terms.directory / f"{name}.log"))
    call = stack.enter_context(closing(Caller(port)))
    connected = [_new_connected(port, call, f"connected-{number}") for number in range(size.connected)]
    spare = new_key_store(call, "spare", new_cluster(port))
    for number in range(size.registered - size.connected - 1):
        new_external_store(call, f"external-{number}")
    requests = [client.generate_random(port, key_store_id) for key_store_id in connected]
    draws = load.script(
        [requests[number % len(requests)] for number in range(BODIES)], terms.directory / f"{name}.lua"
    )
    return Crowd(port, program, call, draws, spare)


def _new_connected(port: int, call: Caller, name: str) -> str:
    key_store_id = new_key_store(call, name, new_cluster(port))
    connect(call, key_store_id)
    return key_store_id
