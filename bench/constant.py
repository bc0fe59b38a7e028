"""The limit: hsmstore's HTTP server with an application that does nothing but give one answer.

Run as a program: `python -m bench.constant PORT THREADS FILE`; the file holds status, headers and body.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bench.client import Answer
from hsmstore.wire.app import Environ, StartResponse
from hsmstore.wire.server import Server

_ADDED_BY_THE_SERVER: Final = {"content-length", "date", "server"}


def write(answer: Answer, file: Path) -> None:
    """Keep `answer` for the server to give."""
    headers = [(name, value) for name, value in answer.headers if name.lower() not in _ADDED_BY_THE_SERVER]
    file.write_text(json.dumps([headers, answer.body.decode()]))


def main() -> None:
    """Serve until a signal comes."""
    port, threads, file = sys.argv[1:]
    pairs, text = json.loads(Path(file).read_text())
    headers = [(str(name), str(value)) for name, value in pairs]
    body = [str(text).encode()]

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", headers)
        return body

    Server(application, "127.0.0.1", int(port), int(threads)).run()


if __name__ == "__main__":
    main()
