"""HTTP/1.1 by hand: what no client library would send, and what it would hide of the answer."""

import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.server import Server

TARGET: Final = "TrentService.GenerateRandom"
CONTENT_TYPE: Final = "application/x-amz-json-1.1"
HEADERS: Final = {"X-Amz-Target": TARGET, "Content-Type": CONTENT_TYPE}


def request(body: bytes, *more: str, length: int | None = None) -> bytes:
    """Return a GenerateRandom request as it goes over the socket."""
    lines = ["POST / HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in HEADERS.items())]
    lines += [f"Content-Length: {len(body) if length is None else length}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """Yield a GenerateRandom request whose body does not say its length."""
    head = request(b"", "Connection: close").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    yield head
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def exchange(server: Server, *sent: bytes) -> bytes:
    """Send `sent` over one connection; return what comes back until the server closes it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        for piece in sent:
            connection.sendall(piece)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def cut(connection: socket.socket) -> bytes:
    """Return what comes until the server ends the connection."""
    received = b""
    try:
        while piece := connection.recv(4096):
            received += piece
    except ConnectionResetError:
        pass
    return received


def bodies(received: bytes) -> list[bytes]:
    """Split what came over a connection into the bodies of its responses."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        match = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        assert match is not None, head
        length = int(match[1])
        found.append(rest[:length])
        received = rest[length:]
    return found


def resident(server: Server) -> int:
    """Return the server's resident memory in bytes."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) * 1024
