"""Signature Version 4: what is signed, with which key, and what comes of it.

"Authenticating Requests (AWS Signature Version 4)" of the IAM User Guide, but for what S3 does otherwise. All
is in bytes as they come over the wire. The names of headers are in lower case, and several values of one
header stand joined by commas.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

ALGORITHM: Final = b"AWS4-HMAC-SHA256"
TERMINATOR: Final = b"aws4_request"

_SPACES: Final = re.compile(rb" {2,}")
_UNRESERVED: Final = "-_.~"


def signing_key(secret_access_key: str, day: bytes, region: bytes, service: bytes) -> bytes:
    """Return the key of a day (`YYYYMMDD`), Region and service: 32 bytes."""
    key = b"AWS4" + secret_access_key.encode()
    for part in (day, region, service, TERMINATOR):
        key = hmac.digest(key, part, "sha256")
    return key


Message = tuple[bytes, bytes, Mapping[bytes, bytes], bytes | None]
"""A request: method, target, headers, body."""


def signature(key: bytes, scope: bytes, date: bytes, signed: Sequence[bytes], message: Message) -> bytes:
    """Return the signature of a request: 64 hexadecimal digits.

    `scope` is `day/region/service/aws4_request`; `signed` are the names of the signed headers, in order. Of
    a header that is not there the value is empty.
    """
    method, target, headers, body = message
    lines = [method, b"/\n" if target == b"/" else _path_and_query(target)]
    for name in signed:
        value = headers.get(name, b"")
        if b"  " in value:
            value = _SPACES.sub(b" ", value)
        lines.append(b"%b:%b" % (name, value.strip()))
    lines += (b"", b";".join(signed), hashlib.sha256(body or b"").hexdigest().encode())
    canonical = hashlib.sha256(b"\n".join(lines)).hexdigest().encode()
    return hmac.digest(key, b"\n".join((ALGORITHM, date, scope, canonical)), "sha256").hex().encode()


def _path_and_query(target: bytes) -> bytes:
    """Return the canonical path, and behind a line break the canonical query."""
    path, _, query = target.partition(b"?")
    pairs = sorted(_pair(part) for part in query.split(b"&") if part)
    return _path(path) + b"\n" + b"&".join(b"%b=%b" % pair for pair in pairs)


def _path(path: bytes) -> bytes:
    """Return the path without empty, `.` and `..` parts, encoded once more than it came."""
    kept: list[bytes] = []
    parts = path.split(b"/")
    for part in parts:
        if part == b"..":
            del kept[-1:]
        elif part not in {b"", b"."}:
            kept.append(part)
    ending = b"/" if kept and not parts[-1] else b""
    return quote_from_bytes(b"/" + b"/".join(kept) + ending, safe="/" + _UNRESERVED).encode()


def _pair(part: bytes) -> tuple[bytes, bytes]:
    name, _, value = part.partition(b"=")
    return _encoded_once(name), _encoded_once(value)


def _encoded_once(text: bytes) -> bytes:
    return quote_from_bytes(unquote_to_bytes(text), safe=_UNRESERVED).encode()
