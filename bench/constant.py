"""The limit: hsmstore's HTTP server with an application that does nothing but give one answer.

Run as a program: `python -m bench.constant THREADS FILE PORT`; the file holds headers and body.
"""

import json
import sys
import time  # noqa: TID251  # a benchmark measures
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hsmstore.wire.http import Request, Response
from hsmstore.wire.server import Server

_ADDED_BY_THE_SERVER: Final = {"content-length", "date"}


def write(headers: Iterable[tuple[str, str]], body: bytes, file: Path) -> None:
    """Keep an answer for the server to give."""
    lines = (f"{name}: {value}\r\n" for name, value in headers if name.lower() not in _ADDED_BY_THE_SERVER)
    file.write_text(json.dumps(["".join(lines), body.decode()]))


def read(file: Path) -> Response:
    """Return the answer that was kept."""
    lines, text = json.loads(file.read_text())
    return Response(200, lines.encode(), text.encode())


def serve(response: Response, port: int, threads: int) -> None:
    """Give one answer, with hsmstore's server, until a signal comes."""
    Server(Constant(response), "127.0.0.1", port, threads, real_time=time.time).run()


class Constant:
    """Answers every request alike."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def begin(self, _: Request) -> Response:
        """Answer."""
        return self._response

    def overloaded(self, _: Request) -> Response:
        """Answer as ever; there is no work that could be too much."""
        return self._response


def main() -> None:
    """Serve until a signal comes."""
    threads, file, port = sys.argv[1:]
    serve(read(Path(file)), int(port), int(threads))


if __name__ == "__main__":
    main()
