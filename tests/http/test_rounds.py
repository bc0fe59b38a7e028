"""What has come together is served together, and one client's trouble is no other's."""

from hsmstore.wire.rounds import ROUND_MAX
from tests.http.house import DEFECT, SLOW, House
from tests.http.spelling import CLOSE, answer, post


def neighbours(count: int) -> list[House]:
    """Return connections whose requests are served in the same rounds."""
    first = House()
    return [first, *(House(beside=first) for _ in range(count - 1))]


def test_served_together_and_answered_then() -> None:
    """A request waits for its round, and its answer until all of the round are served."""
    one, other = neighbours(2)
    one.connection.data_received(post(b"1"))
    other.connection.data_received(post(b"2"))
    assert (one.echo.requests, len(one.soon)) == ([], 1)
    one.connection.serve()
    assert len(one.echo.requests) == 1
    assert one.wire.sent == b""
    other.serve_rounds()
    assert (one.wire.sent, other.wire.sent) == (answer(b"1"), answer(b"2"))


def test_a_client_that_goes_before_its_round() -> None:
    """Nothing is drawn for it, and the others are served."""
    gone, other = neighbours(2)
    gone.connection.data_received(post(b"1"))
    gone.wire.close()
    gone.connection.connection_lost(None)
    assert other.send(post(b"2")) == answer(b"2")
    assert (gone.echo.requests, gone.wire.sent) == ([], b"")


def test_a_defect_is_one_client_s_trouble() -> None:
    """Where the application raises, that connection ends without an answer; the others of the round go on."""
    before, unlucky, after = neighbours(3)
    for house, target in ((before, b"/"), (unlucky, DEFECT), (after, b"/")):
        house.connection.data_received(post(b"1", target=target))
    before.serve_rounds()
    assert (before.wire.sent, after.wire.sent) == (answer(b"1"), answer(b"1"))
    assert unlucky.wire.aborted
    assert unlucky.wire.sent == b""
    assert unlucky.connection.silent_since() is not None, "it would never make way"


def test_rounds_do_not_nest() -> None:
    """However many clients have however many requests waiting, no round is served within another."""
    houses, requests = neighbours(ROUND_MAX), 250
    for house in houses:
        house.connection.data_received(post(b"", target=SLOW) + post(b"") * requests)
    houses[0].serve_rounds()
    for house in houses:
        house.work()
    assert {house.wire.sent for house in houses} == {answer(b"", target=SLOW) + answer(b"") * requests}


def test_drain_before_the_round() -> None:
    """A request that has come is answered, and the connection ends with that."""
    house, other = neighbours(2)
    house.connection.data_received(post(b"1"))
    house.connection.drain()
    other.connection.drain()
    assert (house.wire.closed, other.wire.closed) == (False, True)
    house.serve_rounds()
    assert house.wire.sent == answer(b"1", CLOSE)
    assert house.wire.closed


def test_nonsense_behind_a_request_that_waits_for_its_round() -> None:
    """The answer that is owed is given; then the connection ends."""
    (house,) = neighbours(1)
    house.connection.data_received(post(b"1") + b"nonsense\r\n\r\n")
    house.serve_rounds()
    assert house.wire.sent == answer(b"1", CLOSE)
    assert house.wire.closed


def test_head_behind_get() -> None:
    """Whether an answer has a body is the request's affair, not that of its neighbour in the same read."""
    (house,) = neighbours(1)
    get, head = (post(b"").replace(b"POST", method) for method in (b"GET", b"HEAD"))
    assert house.send(head + get + head) == (
        answer(b"")[: -len(b"/ ")] + answer(b"") + answer(b"")[: -len(b"/ ")]
    )


def test_a_client_that_stops_reading_in_its_round() -> None:
    """It gets the answer that is ready; what it asks after that waits until it reads on."""
    clogged, other = neighbours(2)
    clogged.connection.data_received(post(b"1") + post(b"2"))
    clogged.connection.pause_writing()
    assert other.send(post(b"3")) == answer(b"3")
    assert clogged.wire.sent == answer(b"1")
    clogged.connection.resume_writing()
    clogged.serve_rounds()
    assert clogged.wire.sent == answer(b"1") + answer(b"2")
