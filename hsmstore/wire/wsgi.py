"""WSGI (PEP 3333) for what is not on the hot path: a request in, a response out, all in memory."""

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from hsmstore.domain.limits import REQUEST_BODY_MAX
from hsmstore.wire.http import Request, Response

Environ = dict[str, Any]
StartResponse = Callable[..., Any]  # its third argument is optional
WsgiApplication = Callable[[Environ, StartResponse], Iterable[bytes]]

_CGI: Final = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


def run(application: WsgiApplication, request: Request) -> Response:
    """Return what `application` answers."""
    started: list[tuple[int, bytes]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        lines = (f"{name}: {value}\r\n" for name, value in headers if name.lower() != "content-length")
        started[:] = [(int(status[:3]), "".join(lines).encode("latin-1"))]

    answered = application(_environ(request), start_response)
    body = b"".join(answered)
    ((status, headers),) = started
    return Response(status, headers, body)


def _environ(request: Request) -> Environ:
    path, _, query = request.target.partition(b"?")
    body = request.body or b""
    length = len(body) if request.body is not None else REQUEST_BODY_MAX + 1  # of which nothing was kept
    variables = {
        _CGI.get(name, "HTTP_" + name.decode("latin-1").upper().replace("-", "_")): value.decode("latin-1")
        for name, value in request.headers.items()
    }
    return {
        **variables,
        "REQUEST_METHOD": request.method.decode(),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": variables.get("HTTP_HOST", "").partition(":")[0] or "localhost",
        "SERVER_PORT": variables.get("HTTP_HOST", "").partition(":")[2] or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.source,
        "CONTENT_LENGTH": str(length),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
