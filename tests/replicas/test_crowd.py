"""What a mover notes is enough to find a byte out of turn, though kills have left its moves unanswered."""

import json
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from typing import Final

import pytest

from tests.load.history import REPLICAS, Draw, judge
from tests.load.keepalive import Exchange
from tests.replicas.crowd import Mover

pytestmark = pytest.mark.sqlite  # no registry is met

KILLED: Final = "killed"
GRANTED: Final = "granted"

TOLD: Final = {
    "answered": [GRANTED, "CONNECTED", GRANTED, "DISCONNECTED"],
    "a connect was not": [KILLED, "CONNECTED", GRANTED, "DISCONNECTED"],
    "neither was the disconnect": [KILLED, "CONNECTED", KILLED, "DISCONNECTED"],
    "connects were tried again": [KILLED, "DISCONNECTED", KILLED, "CONNECTED", KILLED, "DISCONNECTED"],
    "a connect failed": [KILLED, "FAILED", KILLED, "DISCONNECTED"],
    "a connect failed when tried again": [KILLED, "DISCONNECTED", GRANTED, "FAILED"],
}


class Told(Mover):
    """A mover of a store, once connected and disconnected, that is told its answers; each takes a second."""

    def __init__(self, answers: Iterable[str]) -> None:
        self.seconds = count()
        super().__init__(list, ["cks-0"], 0, lambda: next(self.seconds))
        self._answers = iter(answers)

    def step(self) -> None:
        """Move the store to and fro, for as long as there are answers."""
        with suppress(StopIteration):
            self._to("ConnectCustomKeyStore", "CONNECTED")
            self._to("DisconnectCustomKeyStore", "DISCONNECTED")

    def ask(self, operation: str, **_: object) -> Exchange | None:
        """Return the next answer."""
        answer = next(self._answers)
        if answer == KILLED:
            return None
        assert (answer == GRANTED) == (operation != "DescribeCustomKeyStores")
        body = {} if answer == GRANTED else {"CustomKeyStores": [{"ConnectionState": answer}]}
        return Exchange(next(self.seconds), next(self.seconds), 200, json.dumps(body).encode())


@pytest.mark.parametrize("answers", TOLD.values(), ids=TOLD)
def test_a_byte_out_of_turn_is_found(answers: list[str]) -> None:
    """Whatever was not answered: a draw after DISCONNECTED or FAILED was seen must give no byte."""
    mover = Told(answers)
    mover.step()
    draw = Draw(0, next(mover.seconds), next(mover.seconds), b"some")
    assert len(judge([draw], mover.moves, mover.looks, REPLICAS).violations) == 1


def test_a_connect_that_may_still_come() -> None:
    """One that was not answered, and whose end was not seen, may open the store at any time."""
    mover = Told([KILLED, "DISCONNECTED"])
    mover.step()
    draw = Draw(0, next(mover.seconds), next(mover.seconds), b"some")
    assert judge([draw], mover.moves, mover.looks, REPLICAS).violations == []
