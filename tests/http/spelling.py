"""Requests and answers as bytes."""

HEAD = b"POST / HTTP/1.1\r\nHost: h\r\n"


def post(body: bytes, *headers: bytes, target: bytes = b"/") -> bytes:
    """Return a request."""
    lines = [b"POST " + target + b" HTTP/1.1", b"Host: h", *headers, b"Content-Length: %d" % len(body)]
    return b"\r\n".join([*lines, b"", body])


def answer(body: bytes, extra: bytes = b"", target: bytes = b"/") -> bytes:
    """Return what the echo answers."""
    text = target + b" " + body
    return b"HTTP/1.1 200 OK\r\nDate: today\r\n%bContent-Length: %d\r\n\r\n%b" % (extra, len(text), text)


CLOSE = b"Connection: close\r\n"
