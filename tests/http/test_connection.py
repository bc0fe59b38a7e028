"""What a connection makes of bytes: requests in their order, refusals, and ends."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.domain.limits import REQUEST_BODY_MAX
from hsmstore.wire.http import (
    DISCARDED_MAX,
    HEAD_MAX,
    HEADERS_MAX,
    IDLE_PATIENCE,
    REQUEST_PATIENCE,
    Request,
    Response,
)
from tests.http.house import SLOW, House
from tests.http.spelling import CLOSE, HEAD, answer, post


@pytest.fixture
def house() -> House:
    """Return a connection and its surroundings."""
    return House()


def test_request_and_answer(house: House) -> None:
    """A request has its method, its target, its headers by lower-case name, its body."""
    assert house.send(post(b"body", b"X-One: 1", b"X-Two: a", b"x-two: b", target=b"/p?q=1")) == answer(
        b"body", target=b"/p?q=1"
    )
    headers = {b"host": b"h", b"x-one": b"1", b"x-two": b"a,b", b"content-length": b"4"}
    assert house.echo.requests == [Request(b"POST", b"/p?q=1", headers, b"body")]
    assert not house.wire.closed


@given(st.lists(st.integers(1, 400), max_size=40))
def test_any_pieces(cuts: list[int]) -> None:
    """How the bytes are cut into pieces makes no difference."""
    stream = post(b"one", b"A: b") + post(b"two", target=b"/x") + post(b"", b"C: d")
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    house = House()
    sent = house.send(*(stream[a:b] for a, b in pairwise(places)))
    assert sent == answer(b"one") + answer(b"two", target=b"/x") + answer(b"")


def test_pipelined_requests_wait_for_their_turn(house: House) -> None:
    """Answers come in the order of the requests, and reading pauses while some wait."""
    assert house.send(post(b"1", target=SLOW) + post(b"2") + post(b"3", target=SLOW)) == b""
    assert not house.wire.reading
    house.work()
    assert house.wire.sent == answer(b"1", target=SLOW) + answer(b"2")
    house.work()
    assert house.wire.sent.endswith(answer(b"3", target=SLOW))
    assert house.wire.reading


def test_no_room() -> None:
    """Work that there is no room for is refused, and the connection goes on."""
    house = House(room=False)
    assert house.send(post(b"", target=SLOW)).startswith(b"HTTP/1.1 503 ")
    assert house.send(post(b"x")) == answer(b"x")


def test_one_too_many() -> None:
    """A client for whom there is no room is told so, and what it sends is not looked at."""
    house = House(admits=False)
    assert house.wire.sent.startswith(b"HTTP/1.1 503 ")
    assert house.wire.sent.endswith(b"Connection: close\r\nContent-Length: 0\r\n\r\n")
    assert house.wire.closed
    assert house.send(post(b"")) == b""


def test_making_way(house: House) -> None:
    """Who is sent away for another counts no more, even before the socket is closed."""
    house.now = 7
    house.send(post(b"1"))
    assert house.connection.silent_since() == 7
    house.send(post(b"", target=SLOW))
    assert house.connection.silent_since() is None
    house.connection.make_way()
    assert house.wire.aborted
    assert house.connections == {}
    house.connection.connection_lost(None)


def test_a_status_without_a_name(house: House) -> None:
    """What another emulator answers is passed on as it is."""
    house.send(post(b"", target=SLOW))
    _, done = house.owed.pop()
    done(Response(599, b"", b"other"))
    assert house.wire.sent == b"HTTP/1.1 599 \r\nDate: today\r\nContent-Length: 5\r\n\r\nother"


def test_dropped(house: House) -> None:
    """Work without an answer ends the connection without one."""
    house.send(post(b"", target=SLOW))
    _, done = house.owed.pop()
    done(None)
    assert house.wire.aborted
    assert house.wire.sent == b""


def test_client_that_has_gone(house: House) -> None:
    """An answer that comes after the end goes nowhere."""
    house.send(post(b"", target=SLOW))
    house.wire.close()
    house.connection.connection_lost(None)
    house.work()
    assert house.wire.sent == b""
    assert house.connections == {}


def test_a_client_that_does_not_read_is_not_served_on(house: House) -> None:
    """While what was written is not taken, requests wait."""
    house.connection.pause_writing()
    assert house.send(post(b"1")) == b""
    house.connection.resume_writing()
    house.serve_rounds()
    assert house.wire.sent == answer(b"1")


def test_close_and_keep_alive(house: House) -> None:
    """A client that asks for the end gets it with its answer."""
    assert house.send(post(b"", b"Connection: close")) == answer(b"", CLOSE)
    assert house.wire.closed
    assert house.send(post(b"more")) == b""


def test_http_1_0() -> None:
    """HTTP/1.0 needs no Host, ends by default, and is told when it does not."""
    assert House().send(b"GET / HTTP/1.0\r\n\r\n") == answer(b"", CLOSE)
    kept = House().send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert kept == answer(b"", b"Connection: keep-alive\r\n")


def test_head(house: House) -> None:
    """The answer to HEAD says how long it would be, and is not sent."""
    assert house.send(post(b"").replace(b"POST", b"HEAD")) == answer(b"")[: -len(b"/ ")]


def test_expect_continue(house: House) -> None:
    """A client that waits for leave to send its body gets it."""
    assert house.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n") == (
        b"HTTP/1.1 100 Continue\r\n\r\n"
    )
    assert house.send(b"ok") == answer(b"ok")


@pytest.mark.parametrize("target", [b"/", SLOW])
def test_expect_continue_behind_another_request(house: House, target: bytes) -> None:
    """Leave is given when the answer that was owed has been."""
    sent = house.send(post(b"1", target=target) + HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    if target == SLOW:
        assert sent == b""
        house.work()
    assert house.wire.sent == answer(b"1", target=target) + b"HTTP/1.1 100 Continue\r\n\r\n"
    assert house.send(b"ok") == answer(b"ok")


@pytest.mark.parametrize("cut", [10, 60, 100, 1000])
def test_upgrade_is_declined(house: House, cut: int) -> None:
    """A request that offers HTTP/2, as Java's client does, is served as HTTP/1.1, and so is the next."""
    stream = post(b"body", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: A")
    sent = house.send(stream[:cut], stream[cut:], post(b"next"))
    assert sent == answer(b"body") + answer(b"next")


@pytest.mark.parametrize("target", [b"http://h/p?q=1", b"/p?q=1"])
def test_target_in_origin_form(house: House, target: bytes) -> None:
    """A whole URL, as a proxy is sent, is a path and a query."""
    assert house.send(post(b"", target=target)) == answer(b"", target=b"/p?q=1")


def test_trailers_are_no_headers(house: House) -> None:
    """What comes after a chunked body does not change the headers."""
    chunked = b"Transfer-Encoding: chunked\r\nX: 1\r\n\r\n2\r\nok\r\n0\r\nX: 2\r\nHost: other\r\n\r\n"
    assert house.send(HEAD + chunked) == answer(b"ok")
    assert house.echo.requests[0].headers[b"x"] == b"1"


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        HEAD + b"Content-Length: +2\r\n\r\nok",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\nok",
        HEAD + b"X: 1\r\n folded\r\n\r\n",
        HEAD + b"X : 1\r\n\r\n",
        HEAD + b"X: \x00\r\n\r\n",
        b"POST / HTTP/1.1\nHost: h\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HEAD + b"".join(b"H%d: x\r\n" % number for number in range(HEADERS_MAX)) + b"\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nXYZ\r\n",
    ],
)
def test_refused(house: House, sent: bytes) -> None:
    """What HTTP forbids, or a proxy could read otherwise, is answered 400, and the connection ends."""
    assert house.send(sent) == b"HTTP/1.1 400 Bad Request\r\nDate: today\r\n" + CLOSE + (
        b"Content-Length: 0\r\n\r\n"
    )
    assert house.wire.closed
    assert house.echo.requests == []


def test_connect_is_refused(house: House) -> None:
    """There is nothing to tunnel to."""
    house.send(b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\nbytes")
    assert house.wire.closed


def test_head_without_end(house: House) -> None:
    """A head that grows and grows is refused."""
    sent = house.send(
        HEAD, *(b"X-%d: %b\r\n" % (number, b"x" * 1000) for number in range(HEAD_MAX // 1000 + 1))
    )
    assert sent.startswith(b"HTTP/1.1 431 ")
    assert house.wire.closed


def test_large_body(house: House) -> None:
    """Of a body above the limit nothing is kept; one far above it is not even read to its end."""
    assert house.send(post(b"x" * REQUEST_BODY_MAX))[-1:] == b"x"
    assert house.send(post(b"x" * (REQUEST_BODY_MAX + 1))) == answer(b"large")
    head = post(b"").replace(b"Content-Length: 0", b"Content-Length: %d" % (2 * DISCARDED_MAX))
    piece = b"x" * 65536
    assert house.send(head, *(piece for _ in range(DISCARDED_MAX // 65536 + 1))).startswith(b"HTTP/1.1 413 ")
    assert house.wire.closed


def test_error_after_a_request_that_is_still_worked_on(house: House) -> None:
    """The answer that is owed is given; then the connection ends."""
    house.send(post(b"1", target=SLOW), b"nonsense\r\n\r\n")
    house.work()
    assert house.wire.sent == answer(b"1", CLOSE, target=SLOW)
    assert house.wire.closed


def look_after(house: House, seconds: int) -> None:
    """Let time pass, and have the connection look at it."""
    house.now += seconds
    house.connection.look()


def test_slow_request(house: House) -> None:
    """A request that does not get to its end in time is answered 408, however busily it drips."""
    house.send(post(b"before"))
    house.send(post(b"body")[:-2])
    for _ in range(REQUEST_PATIENCE):
        look_after(house, 1)
        house.send(b"")
    assert not house.wire.closed
    look_after(house, 1)
    assert b"HTTP/1.1 408 " in house.wire.sent
    assert house.wire.closed


def test_idle_connection(house: House) -> None:
    """A connection that is not used is closed at last, one that is worked for is not."""
    house.send(post(b"", target=SLOW))
    look_after(house, IDLE_PATIENCE + 1)
    assert not house.wire.closed
    house.work()
    look_after(house, IDLE_PATIENCE)
    assert not house.wire.closed
    look_after(house, 1)
    assert house.wire.closed


def test_client_that_never_reads(house: House) -> None:
    """Who does not take its answers loses the connection."""
    house.connection.pause_writing()
    look_after(house, REQUEST_PATIENCE + 1)
    assert house.wire.aborted


def test_drain() -> None:
    """At the end an idle connection is closed; one that is owed an answer, or still sends, gets it first."""
    idle, busy, sending = House(), House(), House()
    busy.send(post(b"1", target=SLOW))
    sending.send(post(b"2")[:-1])
    for house in (idle, busy, sending):
        house.connection.drain()
    assert [house.wire.closed for house in (idle, busy, sending)] == [True, False, False]
    busy.work()
    assert busy.wire.sent == answer(b"1", CLOSE, target=SLOW)
    assert sending.send(b"2") == answer(b"2", CLOSE)
    assert busy.wire.closed
    assert sending.wire.closed


@given(st.binary(max_size=400), st.lists(st.integers(1, 400), max_size=5))
def test_any_bytes(noise: bytes, cuts: list[int]) -> None:
    """Whatever comes, the connection answers HTTP or nothing, and nothing is raised."""
    house = House()
    stream = HEAD + noise
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    sent = house.send(*(stream[a:b] for a, b in pairwise(places)))
    assert sent == b"" or sent.startswith(b"HTTP/1.1 ")
