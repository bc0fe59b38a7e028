"""What a history of draws, connects, disconnects and looks proves: pure functions over what was recorded.

A request takes effect at some moment between `sent` and `answered`, nobody outside knows when. So:

- A store is *known to be shut* from the answer of a granted Disconnect (or of a Describe that says
  DISCONNECTING, DISCONNECTED or FAILED) until the first Connect is sent that was not answered before that
  Disconnect (or Describe) was sent. A draw that lies wholly in there must give no byte. One that only begins
  in there may: the next Connect can come before the draw's own moment.
- It is *known to be open* from the answer of a Describe that says CONNECTED until the first Disconnect is
  sent, likewise. A draw that lies wholly in there must give its bytes.
- No two draws give the same bytes, which would be one buffer given out twice, and none is refused with
  anything but CustomKeyStoreInvalidStateException.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Final, NamedTuple

INVALID_STATE: Final = "CustomKeyStoreInvalidStateException"


class Promise(NamedTuple):
    """What those who serve promise: what proves a store shut, and how else a draw may be refused."""

    closed_states: frozenset[str]
    shut_by_answer: bool
    hiccups: frozenset[str]


ONE_SERVER: Final = Promise(frozenset({"DISCONNECTING", "DISCONNECTED", "FAILED"}), True, frozenset())
REPLICAS: Final = Promise(
    frozenset({"DISCONNECTED", "FAILED"}),
    False,
    frozenset({"KMSInternalException", "DependencyTimeoutException"}),
)
"""While replicas are killed and their database restarts. Of DISCONNECTING another may know nothing yet."""


class Draw(NamedTuple):
    """A GenerateRandom: the bytes it gave, or the code it was refused with."""

    store: int
    sent: float
    answered: float
    octets: bytes
    code: str = ""


class Move(NamedTuple):
    """A Connect or a Disconnect, and whether it was granted."""

    store: int
    sent: float
    answered: float
    connects: bool
    granted: bool = True


class Look(NamedTuple):
    """What a Describe said."""

    store: int
    sent: float
    answered: float
    state: str


class Verdict(NamedTuple):
    """What is wrong with a history, and how much of it could have been: a test of nothing proves nothing."""

    violations: list[str]
    draws: int
    draws_while_shut: int
    draws_while_open: int


class Windows:
    """Spans of time of one store, to be asked whether one of them holds a request wholly."""

    def __init__(self, proofs: Iterable[Move | Look], ends: Iterable[Move]) -> None:
        """Let a span begin with the answer of each proof, and end when what undoes it may have begun."""
        by_answer = sorted(ends, key=attrgetter("answered"))
        answers = [end.answered for end in by_answer]
        earliest = list(accumulate((end.sent for end in reversed(by_answer)), min))[::-1]
        spans = []
        for proof in proofs:
            later = bisect_right(answers, proof.sent)
            end = earliest[later] if later < len(earliest) else float("inf")
            if end > proof.answered:
                spans.append((proof.answered, end))
        spans.sort()
        self._starts = [start for start, _ in spans]
        self._ends = list(accumulate((end for _, end in spans), max))

    def hold(self, draw: Draw) -> bool:
        """Tell whether the draw was sent and answered within one span."""
        before = bisect_right(self._starts, draw.sent)
        return before > 0 and draw.answered <= self._ends[before - 1]


def judge(
    draws: Iterable[Draw], moves: Sequence[Move], looks: Sequence[Look], promise: Promise = ONE_SERVER
) -> Verdict:
    """Return what nobody who keeps the promise can have answered."""
    stores = {move.store for move in moves} | {look.store for look in looks}
    shut = {store: _shut(store, moves, looks, promise) for store in stores}
    opened = {store: _open(store, moves, looks) for store in stores}
    never = Windows([], [])
    seen: set[bytes] = set()
    violations: list[str] = []
    count = while_shut = while_open = 0
    for draw in draws:
        count += 1
        is_shut = shut.get(draw.store, never).hold(draw)
        is_open = opened.get(draw.store, never).hold(draw)
        while_shut += is_shut
        while_open += is_open
        if draw.code not in promise.hiccups:
            violations += _violations(draw, seen, is_shut=is_shut, is_open=is_open)
        seen.add(draw.octets)
    return Verdict(violations, count, while_shut, while_open)


def _violations(draw: Draw, seen: set[bytes], *, is_shut: bool, is_open: bool) -> Iterator[str]:
    where = f"store {draw.store}, sent {draw.sent}, answered {draw.answered}"
    if draw.code not in {"", INVALID_STATE}:
        yield f"{where}: refused with {draw.code}"
    if not draw.octets:
        if is_open:
            yield f"{where}: an open store refused with {draw.code}"
        return
    if is_shut:
        yield f"{where}: a shut store gave bytes"
    if draw.octets in seen:
        yield f"{where}: bytes that were given before"


def _shut(store: int, moves: Sequence[Move], looks: Sequence[Look], promise: Promise) -> Windows:
    mine = [move for move in moves if move.store == store and move.granted]
    proofs = [move for move in mine if promise.shut_by_answer and not move.connects]
    seen = [look for look in looks if look.store == store and look.state in promise.closed_states]
    return Windows([*proofs, *seen], [move for move in mine if move.connects])


def _open(store: int, moves: Sequence[Move], looks: Sequence[Look]) -> Windows:
    mine = [move for move in moves if move.store == store and move.granted]
    seen = [look for look in looks if look.store == store and look.state == "CONNECTED"]
    return Windows(seen, [move for move in mine if not move.connects])
