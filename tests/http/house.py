"""The surroundings of one connection, without a socket."""

import asyncio
from collections.abc import Callable

from hsmstore.wire.http import Application, Connection, Request, Response, Work
from hsmstore.wire.rounds import Rounds

SLOW = b"/slow"
DEFECT = b"/defect"


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed = False
        self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.sent += bytes(data)

    def close(self) -> None:
        """Remember it."""
        self.closed = True

    def abort(self) -> None:
        """Remember it."""
        self.aborted = self.closed = True

    def is_closing(self) -> bool:
        """Tell."""
        return self.closed

    def pause_reading(self) -> None:
        """Remember it."""
        self.reading = False

    def resume_reading(self) -> None:
        """Remember it."""
        self.reading = True


class Echo:
    """Answers with target and body; `/slow` is work, done when the test says so, and `/defect` raises."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def begin(self, request: Request) -> Response | Work:
        """Answer, or make it work."""
        self.requests.append(request)
        if request.target == DEFECT:
            raise ZeroDivisionError
        body = b"large" if request.body is None else request.body
        response = Response(200, b"", request.target + b" " + body)
        return Work(lambda: response) if request.target == SLOW else response

    def overloaded(self, _: Request) -> Response:
        """Refuse."""
        return Response(503, b"", b"")


class House:
    """The surroundings of one connection; `beside` is that of one whose requests are in the same rounds."""

    def __init__(self, *, room: bool = True, admits: bool = True, beside: "House | None" = None) -> None:
        self.echo = Echo()
        self.application: Application = self.echo
        self.connections: dict[Connection, None] = {}
        self.now = 0
        self.date = b"Date: today\r\n"
        self.room = room
        self.admits = admits
        self.owed: list[tuple[Work, Callable[[Response | None], None]]] = []
        self.wire = Wire()
        self.soon: list[Callable[[], None]] = beside.soon if beside else []
        self.arrived: Callable[[Connection], None] = (
            beside.arrived if beside else Rounds(self.soon.append).arrived
        )
        self.connection = Connection(self)
        self.connection.connection_made(self.wire)

    def has_room(self) -> bool:
        """Tell."""
        return self.admits

    def serve_rounds(self) -> None:
        """Serve what has arrived, until nothing more has."""
        while self.soon:
            self.soon.pop(0)()

    def submit(self, work: Work, done: Callable[[Response | None], None]) -> bool:
        """Take it, if there is room."""
        if self.room:
            self.owed.append((work, done))
        return self.room

    def work(self) -> None:
        """Do the work that is owed longest."""
        work, done = self.owed.pop(0)
        done(work.run())
        self.serve_rounds()

    def send(self, *pieces: bytes) -> bytes:
        """Let the connection receive the pieces; return what it has answered to them."""
        before = len(self.wire.sent)
        for piece in pieces:
            self.connection.data_received(piece)
            self.serve_rounds()
        return self.wire.sent[before:]
