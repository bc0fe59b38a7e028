"""The ConnectionState machine as a picture: what there is comes from its table, and here stands only where.

The picture is 400 units wide: about as many pixels as a phone has.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from hsmstore.domain.connection import TRANSITIONS, ConnectionState, Event, next_state

WIDTH: Final = 400
HEIGHT: Final = 288
BOX: Final = (124, 38)

_S = ConnectionState

_PLACES: Final[Mapping[ConnectionState, tuple[int, int]]] = MappingProxyType(
    {
        _S.DISCONNECTED: (66, 156),
        _S.CONNECTING: (200, 48),
        _S.CONNECTED: (334, 156),
        _S.DISCONNECTING: (200, 264),
        _S.FAILED: (200, 156),
    }
)
"""The centre of each state's box: the life of a store goes around clockwise, and FAILED is the middle."""

_NARROW: Final = MappingProxyType({_S.FAILED: 84, _S.DISCONNECTING: 118})


class Line(NamedTuple):
    """How an arrow runs, and where its label stands: x, y, and the anchor of the text."""

    path: str
    x: int
    y: int
    anchor: str = "middle"


_LINES: Final[Mapping[tuple[ConnectionState, ConnectionState], Line]] = MappingProxyType(
    {
        (_S.DISCONNECTED, _S.CONNECTING): Line("M66 136 C66 84 92 52 134 48", 86, 80, "start"),
        (_S.CONNECTING, _S.CONNECTING): Line("M176 28 C174 6 226 6 224 28", 200, 8),
        (_S.CONNECTING, _S.CONNECTED): Line("M263 48 C308 52 334 84 334 133", 398, 44, "end"),
        (_S.CONNECTED, _S.CONNECTED): Line("M360 136 C356 108 390 108 386 134", 398, 106, "end"),
        (_S.CONNECTING, _S.FAILED): Line("M196 68 L196 133", 190, 106, "end"),
        (_S.CONNECTING, _S.DISCONNECTING): Line("M238 68 C262 114 262 198 238 241", 254, 222, "start"),
        (_S.CONNECTED, _S.DISCONNECTING): Line("M334 176 C334 228 308 260 262 264", 324, 252, "start"),
        (_S.FAILED, _S.DISCONNECTING): Line("M196 176 L196 241", 190, 214, "end"),
        (_S.DISCONNECTING, _S.DISCONNECTED): Line("M140 264 C92 260 66 228 66 179", -2, 276, "start"),
    }
)


class Node(NamedTuple):
    """A state: its box, how many stores are in it, and whether it is lit."""

    state: ConnectionState
    x: int
    y: int
    width: int
    height: int
    stores: int | None
    lit: bool


class Edge(NamedTuple):
    """A transition. `step` tells how many steps ago it was gone, 1 for the last; 0: not at all."""

    event: Event
    before: ConnectionState
    after: ConnectionState
    line: Line
    step: int


class Picture(NamedTuple):
    """The machine with the states that are lit and the way that was come, and the same in words."""

    width: int
    height: int
    nodes: list[Node]
    edges: list[Edge]
    words: str


def of_one(state: ConnectionState, events: Sequence[str]) -> Picture:
    """Draw where one store stands, and the way it came: its last life's events, the newest last."""
    way = _way(events)
    steps = " → ".join(f"{before}, {event}" for event, before, _ in way)
    words = f"The store is {state}. The way it came: {steps} → {state}." if way else f"The store is {state}."
    return _picture({state: None}, way, words)


def of_all(counts: Mapping[ConnectionState, int]) -> Picture:
    """Draw how many stores are in each state."""
    told = ", ".join(f"{counts[state]} {state}" for state in _S if counts.get(state))
    lit = {state: count for state, count in counts.items() if count}
    return _picture(lit, [], f"Key stores by state: {told or 'none'}.")


def _picture(
    lit: Mapping[ConnectionState, int | None],
    way: Sequence[tuple[Event, ConnectionState, ConnectionState]],
    words: str,
) -> Picture:
    steps = {row: len(way) - number for number, row in enumerate(way)}
    edges = [Edge(*row, _line(row[1], row[2]), steps.get(row, 0)) for row in TRANSITIONS]
    return Picture(WIDTH, HEIGHT, [_node(state, lit) for state in _S], edges, words)


def _node(state: ConnectionState, lit: Mapping[ConnectionState, int | None]) -> Node:
    (x, y), (width, height) = _PLACES[state], BOX
    width = _NARROW.get(state, width)
    return Node(state, x - width // 2, y - height // 2, width, height, lit.get(state), state in lit)


def _line(before: ConnectionState, after: ConnectionState) -> Line:
    """Return how an arrow runs; one that nobody has laid out runs straight."""
    (x, y), (to_x, to_y) = _PLACES[before], _PLACES[after]
    straight = Line(f"M{x} {y} L{to_x} {to_y}", (x + to_x) // 2, (y + to_y) // 2)
    return _LINES.get((before, after), straight)


def _way(events: Sequence[str]) -> list[tuple[Event, ConnectionState, ConnectionState]]:
    """Walk the machine along a store's history; return the steps since it last set out from DISCONNECTED.

    Of a store that has come back there, the whole round is shown.
    """
    known = set(Event)
    state, way = _S.DISCONNECTED, list[tuple[Event, ConnectionState, ConnectionState]]()
    for name in events:
        if name not in known:
            continue
        event = Event(name)
        after = next_state(state, event)
        if after is None:  # the history's beginning is not there
            way = []
            continue
        if state is _S.DISCONNECTED:
            way = []
        way.append((event, state, after))
        state = after
    return way
