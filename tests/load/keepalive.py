"""A client that keeps its connection and notes when it sent and when it was answered.

It is small because a load of a million requests is measured by the server, not by the client; `http.client`
takes four times as long to read an answer.
"""

import json
import re
import socket
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from hsmstore.system.clock import monotonic

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


class HalfAnswered(ConnectionError):
    """The connection ended within an answer."""


class Exchange(NamedTuple):
    """A request's life: when its first byte was sent, when its answer was read, and the answer.

    Times are CLOCK_MONOTONIC's, which all processes of a machine share.
    """

    sent: float
    answered: float
    status: int
    body: bytes

    @property
    def document(self) -> Any:
        """The answer's JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's code, and nothing where the request was granted."""
        return "" if self.status == 200 else str(self.document["__type"])


def kms_request(operation: str, members: dict[str, Any], account: str = "000000000000") -> bytes:
    """Return an awsJson1.1 request of `account` in us-east-1, ready to be sent."""
    scope = f"Credential={account}/20260101/us-east-1/kms/aws4_request"
    return _request(
        "POST /",
        json.dumps(members).encode(),
        "Content-Type: application/x-amz-json-1.1",
        f"X-Amz-Target: TrentService.{operation}",
        f"Authorization: AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0",
    )


def management_request(method: str, path: str, members: dict[str, Any] | None = None) -> bytes:
    """Return a request of the management API, ready to be sent."""
    body = b"" if members is None else json.dumps(members).encode()
    return _request(f"{method} /_hsmstore{path}", body, "Content-Type: application/json")


def _request(line: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: localhost", *headers, f"Content-Length: {len(body)}"])
    return head.encode() + b"\r\n\r\n" + body


class KeepAlive:
    """One connection to the server on a port of this machine; it is opened when it is first needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next exchange opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def exchange(self, request: bytes) -> Exchange:
        """Send `request` and read its answer.

        Raises:
            HalfAnswered: the server went in the middle of its answer.
            OSError: the server is not there, or went without answering.

        """
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = monotonic()
        try:
            self._socket.sendall(request)
            status, body = _answer(self._socket)
        except OSError:
            self.close()
            raise
        return Exchange(sent, monotonic(), status, body)


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    begun = _more(connection)
    try:
        return _rest_of_answer(connection, begun)
    except ConnectionError as error:
        raise HalfAnswered("the server closed the connection within an answer") from error


def _rest_of_answer(connection: socket.socket, received: bytes) -> tuple[int, bytes]:
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _more(connection)
    length = _LENGTH.search(received, 0, end + 2)
    assert length is not None, received
    whole = end + 4 + int(length[1])
    while len(received) < whole:
        received += _more(connection)
    return int(received[9:12]), received[end + 4 :]


def _more(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise ConnectionResetError("the server closed the connection without an answer")
    return received
