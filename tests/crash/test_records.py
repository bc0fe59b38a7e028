"""The judge of a dying server's answers, on histories that are right and on one violation of each kind."""

import pytest

from tests.crash.records import NOT_FOUND, Records, Store
from tests.load.history import INVALID_STATE, Draw, Look, Move

pytestmark = pytest.mark.sqlite  # no registry is met

DISCONNECT, CONNECT = Move(0, 1, 2, connects=False), Move(0, 5, 6, connects=True)
UNANSWERED = DISCONNECT._replace(granted=False)
OPEN = Look(0, 1, 2, "CONNECTED")
BYTES, REFUSED = Draw(0, 3, 4, b"x"), Draw(0, 3, 4, b"", INVALID_STATE)


@pytest.mark.parametrize(
    "store",
    [
        Store([REFUSED], [DISCONNECT, CONNECT]),
        Store([BYTES], [UNANSWERED]),
        Store([BYTES._replace(answered=5.5)], [DISCONNECT, CONNECT]),
        Store([BYTES], [], [OPEN]),
        Store([REFUSED], [UNANSWERED._replace(sent=2, answered=3)], [OPEN]),
        Store([Draw(0, 3, 4, b"", NOT_FOUND)], doomed_at=3.5),
    ],
)
def test_what_may_be(store: Store) -> None:
    """A right server may have answered so."""
    assert list(store.violations()) == []


@pytest.mark.parametrize(
    ("store", "violation"),
    [
        (Store([BYTES], [DISCONNECT, CONNECT]), "shut, and gave bytes"),
        (Store([BYTES], [], [Look(0, 1, 2, "FAILED")]), "shut, and gave bytes"),
        (Store([REFUSED], [], [OPEN]), "open, and gave nothing"),
        (Store([Draw(0, 3, 4, b"", NOT_FOUND)]), "refused for no reason"),
        (Store([Draw(0, 3, 4, b"", "KMSInternalException")]), "refused for no reason"),
    ],
)
def test_what_may_not_be(store: Store, violation: str) -> None:
    """No right server can have answered so."""
    (found,) = store.violations()
    assert found.startswith(violation)


def test_bytes_given_twice() -> None:
    """Stores share no bytes."""
    records = Records()
    records.of("one").draws += [BYTES, REFUSED, REFUSED]
    records.of("other").draws.append(BYTES)
    (found,) = records.violations()
    assert found.startswith("other: given before")
