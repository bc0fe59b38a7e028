"""HTTP/1.1 on one connection: bytes to requests, one at a time, and responses to bytes.

The grammar is llhttp's, through httptools. What it leaves open stands here: limits, `Expect`, offers to
upgrade, pipelining, and clients that send slowly, read slowly, or have gone to sleep.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

import httptools
import msgspec

from hsmstore.domain.limits import REQUEST_BODY_MAX

log = logging.getLogger(__name__)

HEADERS_MAX: Final = 100
HEAD_MAX: Final = 64 * 1024  # bytes of a request's line and headers
DISCARDED_MAX: Final = 16 * 1024 * 1024  # bytes of too large a body: who cannot send it sees no answer
REQUEST_PATIENCE: Final = 20  # seconds from a request's first byte to its last
IDLE_PATIENCE: Final = 300  # seconds between two requests


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request as it came. Header names are in lower case; a repeated header is joined with commas.

    `target` is in origin form. `body` is None where it was larger than REQUEST_BODY_MAX.
    `source` is the address of the client.
    """

    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes | None
    source: str = ""


class Response(msgspec.Struct, frozen=True, gc=False):
    """What to answer. Each line of `headers` ends in CRLF; Date, Content-Length and Connection are added."""

    status: int
    headers: bytes
    body: bytes


class Work(NamedTuple):
    """What is left to do for an answer, in a thread that may wait.

    `run` raises nothing; it returns None where the connection is to end without an answer. What is `reserved`
    has threads of its own, so that it gets through where everything else hangs.
    """

    run: Callable[[], Response | None]
    reserved: bool = False


class Application(Protocol):
    """What serves requests."""

    def begin(self, request: Request) -> Response | Work:
        """Answer at once, or say what there is to do. Never wait, never raise."""

    def overloaded(self, request: Request) -> Response:
        """Refuse a request for which there is no room."""


class Surroundings(Protocol):
    """What a connection needs of its server."""

    application: Application
    connections: dict["Connection", None]
    """In the order in which they were made."""
    now: int
    """A count of seconds."""
    date: bytes
    """The Date line."""

    def has_room(self) -> bool:
        """Tell whether one more may be connected; others may have been sent away for it."""

    @property
    def arrived(self) -> Callable[["Connection"], None]:
        """Calls `serve` and then `send` of a connection, soon: with others that have a request by then."""

    def submit(self, work: Work, done: Callable[[Response | None], None]) -> bool:
        """Have `work` done and `done` called in the loop's thread, or return False for want of room."""


_STATUS_LINES: Final = {
    code.value: f"HTTP/1.1 {code.value} {code.phrase}\r\n".encode() for code in HTTPStatus
}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE: Final = b"Connection: close\r\n"
_KEEP_ALIVE: Final = b"Connection: keep-alive\r\n"  # HTTP/1.0 wants to be told


class Connection(asyncio.Protocol):
    """One client. All of it runs in the loop's thread."""

    def __init__(self, server: Surroundings) -> None:
        """Take the server whose connection it is."""
        self._server = server
        self._begin = server.application.begin
        self.lost = asyncio.Event()
        """Set when it has ended."""
        self._transport: asyncio.Transport
        self._source = ""
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bytes]] = deque()
        self._since = server.now
        self._persistence = b""
        self._with_body = True
        self._answer: Response | None = None  # ready to be sent
        self._partial = False  # a request has begun to come
        self._expecting = False
        self._busy = False  # one has come, and is not answered
        self._clogged = False  # the client does not read
        self._paused = False  # nothing is read, since some requests wait
        self._last = False  # the answer in hand ends the connection
        self._ending = False  # nothing that comes is looked at any more

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the others, if there is room."""
        self._transport = transport  # type: ignore[assignment]  # a stream server's is one
        peer = transport.get_extra_info("peername")
        self._source = peer[0] if peer else ""
        has_room = self._server.has_room()
        self._server.connections[self] = None
        if not has_room:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    def connection_lost(self, _: Exception | None) -> None:
        """Leave the others; an answer that comes later goes nowhere."""
        self._ending = True
        self._waiting.clear()
        self._server.connections.pop(self, None)
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        """Parse; a request that is complete is taken from inside the parser."""
        if self._ending:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(offer, data)
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST)
        if self._partial:
            self._arrived += len(data)
            if self._arrived > HEAD_MAX and not self._in_body:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def pause_writing(self) -> None:
        """Answer nothing more until the client has read what it was sent."""
        self._clogged = True

    def resume_writing(self) -> None:
        """Go on."""
        self._clogged = False
        self._next()

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Forget the request before; this comes before everything else."""
        self._partial = True
        self._since = self._server.now
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        self._size = 0
        self._arrived = 0
        self._in_body = False
        self._offered = b""  # the method of a request that offers to upgrade
        self._expecting = False  # the client keeps the body back until it is asked for it

    def on_url(self, url: bytes) -> None:
        """Take the target, or a further part of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        name = name.lower()
        if name not in self._headers:
            self._headers[name] = value
        elif not self._in_body:  # a trailer is no header
            self._headers[name] += b"," + value

    def on_headers_complete(self) -> None:
        """Look at what concerns the connection rather than the application."""
        self._in_body = True
        headers = self._headers
        if b"expect" in headers and headers[b"expect"].lower() == b"100-continue":
            self._expecting = True
            self._invite()
        if b"upgrade" in headers and self._parser.should_upgrade():
            self._offered = self._parser.get_method()

    def on_body(self, piece: bytes) -> None:
        """Take a part of the body; of too large a one nothing is kept."""
        self._size += len(piece)
        if self._size <= REQUEST_BODY_MAX:
            self._pieces.append(piece)
        elif self._size > DISCARDED_MAX:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        """Take the request, or let it wait for the one before it."""
        self._partial = False
        if self._offered or self._ending:
            return
        headers = self._headers
        if len(headers) > HEADERS_MAX or (
            b"host" not in headers and self._parser.get_http_version() != "1.0"
        ):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        body = b"".join(self._pieces) if self._size <= REQUEST_BODY_MAX else None
        request = Request(self._parser.get_method(), _origin_form(self._url), headers, body, self._source)
        persistence = b"" if self._parser.should_keep_alive() else _CLOSE
        if not persistence and b"connection" in headers and self._parser.get_http_version() == "1.0":
            persistence = _KEEP_ALIVE
        self._waiting.append((request, persistence))
        if self._busy or self._clogged:
            self._paused = True
            self._transport.pause_reading()
        else:
            self._busy = True
            self._server.arrived(self)

    # From the request to the answer.

    def serve(self) -> None:
        """Serve the request that came first; an answer that is ready at once is kept for `send`."""
        if not self._waiting:  # it has ended meanwhile
            return
        request, self._persistence = self._waiting.popleft()
        if self._paused and not self._waiting:
            self._paused = False
            self._transport.resume_reading()
        self._with_body = request.method != b"HEAD"
        try:
            answer = self._begin(request)
        except Exception:  # a defect of the application; it must not cost the others of the round theirs
            log.exception("a request was not answered")
            self._done(None)
            return
        if isinstance(answer, Response):
            self._answer = answer
        elif not self._server.submit(answer, self._done):
            self._answer = self._server.application.overloaded(request)

    def send(self) -> None:
        """Send the answer, if there is one by now."""
        answer = self._answer
        if answer is not None:
            self._answer = None
            self._done(answer)

    def _done(self, response: Response | None) -> None:
        """Write the answer, if there is one, and go on to what has come meanwhile."""
        self._busy = False
        if response is None:
            self._transport.abort()
        elif not self._transport.is_closing():
            self._write(response)
            self._next()

    def _next(self) -> None:
        if self._waiting and not (self._busy or self._clogged or self._ending):
            self._busy = True
            self._server.arrived(self)
        elif self._expecting:
            self._invite()

    def _invite(self) -> None:
        """Ask for the body that a client keeps back, once it is owed no answer."""
        if self._partial and not (self._busy or self._waiting or self._ending):
            self._expecting = False
            self._transport.write(_CONTINUE)

    def _write(self, response: Response) -> None:
        persistence = _CLOSE if self._last else self._persistence
        self._transport.write(
            b"%b%b%b%bContent-Length: %d\r\n\r\n%b"
            % (
                _STATUS_LINES.get(response.status) or b"HTTP/1.1 %d \r\n" % response.status,
                response.headers,
                self._server.date,
                persistence,
                len(response.body),
                response.body if self._with_body else b"",
            )
        )
        self._since = self._server.now
        if persistence is _CLOSE:
            self._ending = True
            self._transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        """Say why not, unless an answer is still owed, and end."""
        self._partial = False
        owing = self._busy or self._waiting or self._ending
        self._last = self._ending = True
        if not owing:
            self._write(Response(status, b"", b""))

    def _decline(self, offer: httptools.HttpParserUpgrade, data: bytes) -> None:
        """Serve the request as if nothing had been offered (RFC 9110, 7.8); llhttp stops before its body."""
        self._parser = httptools.HttpRequestParser(self)
        if not self._offered:  # CONNECT
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)
            return
        kept = (pair for pair in self._headers.items() if pair[0] not in {b"upgrade", b"connection"})
        lines = [b"%b %b HTTP/1.1" % (self._offered, self._url), *(b"%b: %b" % pair for pair in kept)]
        rest = data[offer.args[0] :]
        self.data_received(b"\r\n".join([*lines, b"", b""]) + rest)

    # What the server asks for.

    def look(self) -> None:
        """End it when its client has had time enough."""
        waited = self._server.now - self._since
        if self._busy:
            return
        if self._partial and waited > REQUEST_PATIENCE:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        elif self._clogged and waited > REQUEST_PATIENCE:
            self._transport.abort()
        elif waited > IDLE_PATIENCE:
            self._transport.close()

    def silent_since(self) -> int | None:
        """Return since when its client has sent no whole request; None while one is worked on."""
        return None if self._busy else self._since

    def make_way(self) -> None:
        """End it at once, for another."""
        self._ending = True
        self._server.connections.pop(self, None)
        self._transport.abort()

    def drain(self) -> None:
        """End it, after the answer that is owed or the request that is coming."""
        self._last = True
        if not (self._busy or self._partial or self._clogged):
            self._ending = True
            self._transport.close()


def _origin_form(target: bytes) -> bytes:
    """Return the path and query of a target that may be a whole URL, as for a proxy (RFC 9112, 3.2.2)."""
    if target[:1] == b"/" or target == b"*":
        return target
    url = httptools.parse_url(target)
    return (url.path or b"/") + (b"?" + url.query if url.query else b"")
