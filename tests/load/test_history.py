"""The judge of histories: it finds what was planted, and passes what is right."""

import pytest

from tests.load.history import INVALID_STATE, REPLICAS, Draw, Look, Move, judge

pytestmark = pytest.mark.sqlite  # no registry is met


def connect(sent: float, answered: float, *, granted: bool = True) -> Move:
    """Return a Connect of store 0."""
    return Move(0, sent, answered, connects=True, granted=granted)


def disconnect(sent: float, answered: float, *, granted: bool = True) -> Move:
    """Return a Disconnect of store 0."""
    return Move(0, sent, answered, connects=False, granted=granted)


def gave(sent: float, answered: float, octets: bytes = b"some", store: int = 0) -> Draw:
    """Return a draw that was answered with bytes."""
    return Draw(store, sent, answered, octets)


def refused(sent: float, answered: float, code: str = INVALID_STATE) -> Draw:
    """Return a draw that was refused."""
    return Draw(0, sent, answered, b"", code)


CYCLE = [connect(0, 1), disconnect(10, 11), connect(20, 21)]

WRONG = {
    "sent after the disconnect was answered": ([gave(12, 13)], CYCLE, []),
    "sent in the moment of the answer": ([gave(11, 12)], CYCLE, []),
    "answered in the moment of the next connect": ([gave(12, 20)], CYCLE, []),
    "after the last disconnect, for ever": ([gave(50, 60)], [connect(0, 1), disconnect(10, 11)], []),
    "a refused connect opens nothing": ([gave(25, 26)], [*CYCLE[:2], connect(20, 21, granted=False)], []),
    "after a look that saw it shut": ([gave(5, 6)], [], [Look(0, 1, 2, "DISCONNECTED")]),
    "after a look that saw it being shut": ([gave(5, 6)], [], [Look(0, 1, 2, "DISCONNECTING")]),
    "after a look that saw it failed": ([gave(5, 6)], [], [Look(0, 1, 2, "FAILED")]),
    "between looks, the second within the draw": (
        [gave(5, 9)],
        [],
        [Look(0, 1, 2, "FAILED"), Look(0, 6, 7, "FAILED")],
    ),
    "a window in a window": ([gave(14, 15)], CYCLE, [Look(0, 12, 13, "DISCONNECTED")]),
    "refused although it was seen open": ([refused(5, 6)], CYCLE, [Look(0, 2, 3, "CONNECTED")]),
    "an error of the server": ([refused(5, 6, "KMSInternalException")], CYCLE, []),
    "the same bytes twice": ([gave(5, 6), gave(5, 6)], CYCLE, []),
    "the same bytes from two stores": ([gave(5, 6), gave(5, 6, store=1)], CYCLE, []),
}

RIGHT = {
    "while connected": ([gave(5, 6)], CYCLE, []),
    "sent before the disconnect was answered": ([gave(10, 30)], CYCLE, []),
    "answered after the next connect was sent": ([gave(12, 20.5)], CYCLE, []),
    "a connect that was under way during the disconnect": (
        [gave(12, 13)],
        [connect(9, 15), disconnect(10, 11)],
        [],
    ),
    "a refused disconnect shuts nothing": ([gave(12, 13)], [disconnect(10, 11, granted=False)], []),
    "another store's disconnect": ([gave(12, 13, store=1)], CYCLE, []),
    "a look at what is connecting": ([gave(5, 6)], [], [Look(0, 1, 2, "CONNECTING")]),
    "a look that was overtaken by a connect": (
        [gave(5, 6)],
        [connect(1, 4)],
        [Look(0, 2, 3, "DISCONNECTED")],
    ),
    "a look within the draw alone": ([gave(5, 9)], [], [Look(0, 6, 7, "DISCONNECTED")]),
    "refused while shut": ([refused(12, 13)], CYCLE, []),
    "refused when a disconnect was under way": ([refused(5, 10.5)], CYCLE, [Look(0, 2, 3, "CONNECTED")]),
    "different bytes": ([gave(5, 6), gave(5, 6, b"other")], CYCLE, []),
    "many refusals": ([refused(12, 13), refused(12, 13)], CYCLE, []),
}

History = tuple[list[Draw], list[Move], list[Look]]


@pytest.mark.parametrize("history", WRONG.values(), ids=WRONG)
def test_finds_what_was_planted(history: History) -> None:
    """One wrong answer in a history is one violation."""
    assert len(judge(*history).violations) == 1


@pytest.mark.parametrize("history", RIGHT.values(), ids=RIGHT)
def test_passes_what_is_right(history: History) -> None:
    """What a right server can have answered is no violation."""
    assert judge(*history).violations == []


def test_counts_what_it_could_judge() -> None:
    """The verdict says how many draws were made at a time when their outcome was known."""
    looks = [Look(0, 2, 3, "CONNECTED")]
    draws = [gave(5, 6), refused(12, 13), refused(14, 15), refused(9, 13)]
    assert judge(draws, CYCLE, looks) == ([], 4, 2, 1)


AFTER_IT_WAS_SEEN = [Look(0, 12, 13, "DISCONNECTED")]


def test_what_replicas_promise() -> None:
    """Replicas may give bytes until the store is seen DISCONNECTED, not after; they may have hiccups."""
    connected, harmed = [Look(0, 2, 3, "CONNECTED")], refused(5, 6, "KMSInternalException")
    assert judge([gave(12, 13)], CYCLE, [Look(0, 11, 12, "DISCONNECTING")], REPLICAS).violations == []
    assert judge([gave(14, 15)], CYCLE, AFTER_IT_WAS_SEEN, REPLICAS).violations != []
    assert judge([harmed], CYCLE, connected, REPLICAS).violations == []
    assert judge([refused(5, 6)], CYCLE, connected, REPLICAS).violations != []
