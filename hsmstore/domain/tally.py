"""What a server counts of its calls: plain numbers, which somebody may read at any time.

A draw is counted in the event loop, where it is served, and costs two looks at a clock and two additions:
what counts there belongs to that one thread and takes no lock.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope

SUCCESS: Final = "Success"
"""The outcome of a call that was not refused; of others it is the error's code."""
DROPPED: Final = "Dropped"
"""The outcome of a call whose connection a fault has ended, without an answer."""

BOUNDS: Final = (
    *(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds of the latencies that are told apart, in seconds. A draw takes some 20 µs, a login 10 ms."""


class Latency:
    """How long calls took: how many up to each of BOUNDS, and at last those beyond; and seconds in all."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        """Start at nothing."""
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one call."""
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def plus(self, other: "Latency") -> "Latency":
        """Return both together."""
        both = Latency()
        both.buckets = [one + two for one, two in zip(self.buckets, other.buckets, strict=True)]
        both.seconds = self.seconds + other.seconds
        return both


class Calls(NamedTuple):
    """The calls of one operation: how they ended, and how long they took."""

    outcomes: Mapping[str, int]
    latency: Latency


class Tally:
    """What has been counted since the process began.

    `prompt` are the calls that were served at once, by operation. They succeeded, and the loop's thread alone
    counts them; `ended` is for all others and for every thread.
    """

    def __init__(self, operations: Iterable[str]) -> None:
        """Take the names of the operations that may be served promptly."""
        self.prompt: Final[Mapping[str, Latency]] = {operation: Latency() for operation in operations}
        self._lock = threading.Lock()
        self._outcomes: dict[str, Counter[str]] = {}
        self._latencies: dict[str, Latency] = {}
        self._hsm_errors: Counter[str] = Counter()

    def ended(self, operation: str, outcome: str, seconds: float) -> None:
        """Count a call that has been answered, or never will be."""
        with self._lock:
            self._outcomes.setdefault(operation, Counter())[outcome] += 1
            self._latencies.setdefault(operation, Latency()).add(seconds)

    def hsm_error(self, ckr: str) -> None:
        """Count an error that a PKCS#11 module has returned, by its name."""
        with self._lock:
            self._hsm_errors[ckr] += 1

    def calls(self) -> dict[str, Calls]:
        """Return what has been counted of each operation that was called."""
        with self._lock:
            outcomes = {name: Counter(counted) for name, counted in self._outcomes.items()}
            latencies = {name: latency.plus(Latency()) for name, latency in self._latencies.items()}
        for name, latency in self.prompt.items():
            prompt = latency.plus(Latency())
            if count := sum(prompt.buckets):
                outcomes.setdefault(name, Counter())[SUCCESS] += count
                latencies[name] = latencies[name].plus(prompt) if name in latencies else prompt
        return {name: Calls(outcomes[name], latencies[name]) for name in sorted(outcomes)}

    def hsm_errors(self) -> dict[str, int]:
        """Return how often each error has been returned."""
        with self._lock:
            return dict(self._hsm_errors)


class TallyUnit(Protocol):
    """The part of the registry's transaction that counts what is there."""

    def key_store_states(self, scope: Scope | None = None) -> Mapping[ConnectionState, int]:
        """Return how many key stores of the scope, or of all, are in each state that one is in."""
