"""An HTTP/1.1 client that changes nothing: connections are kept, headers and bodies pass as they are."""

import select
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult, urlsplit

from hsmstore.domain.upstream import UpstreamAnswer, UpstreamAway

PATIENCE: Final = 60.0  # seconds, for a connection and for each piece of an answer
KEPT_MAX: Final = 8  # idle connections

_OF_A_CONNECTION: Final = frozenset(
    {
        "connection",
        "content-length",
        "date",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of one connection (RFC 9110, 7.6.1), and those that are made anew on either side."""
_DATED: Final = _OF_A_CONNECTION - {"date"}  # a request's Date may be signed


class HttpUpstream:
    """The other emulator behind an `http://` or `https://` URL; a path in it goes before each request's."""

    def __init__(self, url: str) -> None:
        """Take the URL; nothing is connected yet."""
        self._parts = urlsplit(url)
        self._idle: list[HTTPConnection] = []
        self._guard = threading.Lock()

    @property
    def url(self) -> str:
        """Where it is, without user and password."""
        parts: SplitResult = self._parts
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> UpstreamAnswer:
        """Send a request as it came, and return the answer as it comes.

        It is sent once: who would send it again cannot know whether it has been carried out.

        Raises:
            UpstreamAway: no connection, or no whole answer.

        """
        try:
            with self._connection() as connection:
                connection.putrequest(
                    method, self._parts.path.rstrip("/") + target, skip_host=True, skip_accept_encoding=True
                )
                for name, value in headers.items():
                    if name.lower() not in _DATED:
                        connection.putheader(name, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                response = connection.getresponse()
                answer = UpstreamAnswer(
                    response.status,
                    [
                        (name, value)
                        for name, value in response.getheaders()
                        if name.lower() not in _OF_A_CONNECTION
                    ],
                    response.read(),
                )
                if response.will_close:
                    connection.close()
                return answer
        except (OSError, HTTPException, ValueError) as error:
            raise UpstreamAway(f"{self.url}: {str(error) or type(error).__name__}") from error

    def close(self) -> None:
        """End the connections that are kept."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[HTTPConnection]:
        """Lend a connection, and keep it if all went well."""
        connection = self._kept() or self._new()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._guard:
            if connection.sock is not None and len(self._idle) < KEPT_MAX:
                self._idle.append(connection)
                return
        connection.close()

    def _kept(self) -> HTTPConnection | None:
        """Return a kept connection that the other side has not closed meanwhile."""
        while True:
            with self._guard:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            readable, _, _ = select.select([connection.sock], [], [], 0)
            if not readable:
                return connection
            connection.close()

    def _new(self) -> HTTPConnection:
        kind = HTTPSConnection if self._parts.scheme == "https" else HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=PATIENCE)
