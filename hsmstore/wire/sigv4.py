"""Who signed a request, and whether it is as it was signed.

The checks are made, and refused, in this order, as measured of AWS: is it signed at all, the algorithm, the
form of the header, its parts, what must be signed, the date, the credential's scope, the access key with its
token, the signature. So a wrong Region comes before an unknown key, and that before a wrong signature.

Nearly every Authorization header is, but for its signature, like the one before it: what has come of that is
kept. What has anything wrong with it, or is written otherwise than SDKs write it, goes the long way.
"""

import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from hsmstore.domain.errors import (
    ExpiredTokenException,
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from hsmstore.domain.principal import Credential
from hsmstore.domain.sigv4 import ALGORITHM, TERMINATOR, signature, signing_key
from hsmstore.wire.http import Request

_KEPT: Final = 1024  # headers, and signing keys
_LONGEST_KEPT: Final = 512  # bytes of a header: what is kept is bounded
_SIGNATURE_SIZE: Final = 64
_PARTS_OF_CREDENTIAL: Final = 5
_REGION: Final = re.compile(rb"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}")
_DATE: Final = re.compile(rb"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_DATE_SIZE: Final = 16
_NO_SECRET: Final = ""
"""Signs for an unknown access key, so that finding that out takes as long as finding a signature wrong."""
_TOKEN: Final = b"x-amz-security-token"
_MUST_BE_SIGNED: Final = {
    b"host": "'Host' or ':authority'",
    b"x-amz-target": "'X-Amz-Target'",
    _TOKEN: "'X-Amz-Security-Token'",
}
"""What is acted on. The first must be there; the others must be signed where they are."""


class Service(NamedTuple):
    """What differs between services. `window` is in seconds, either way."""

    name: bytes
    window: int


KMS: Final = Service(b"kms", 300)
STS: Final = Service(b"sts", 900)


class _Claim(NamedTuple):
    """What an Authorization header says, where it is as it must be, and the key to check that."""

    credential: Credential | None
    day: bytes
    region: str
    scope: bytes
    names: tuple[bytes, ...]
    key: bytes


class _Header(NamedTuple):
    """The parts of an Authorization header, and the date that goes with it."""

    credential: bytes
    names: tuple[bytes, ...]
    signature: bytes
    date: bytes


class Verified(NamedTuple):
    """Who signed a request, and for which Region."""

    credential: Credential
    region: str


class Verifier:
    """Checks the signatures of requests to one service against the credentials that there are."""

    def __init__(
        self, service: Service, credentials: Mapping[str, Credential], real_time: Callable[[], float]
    ) -> None:
        """Take whom to know, and what gives seconds since the epoch. `credentials` must not change."""
        self._service = service
        self._credentials = credentials
        self._real_time = real_time
        self._signing_key = lru_cache(maxsize=_KEPT)(self._derived)
        self._claim = lru_cache(maxsize=_KEPT)(self._read)

    def verify(self, request: Request) -> Verified:
        """Return who signed the request, whose body is not too large.

        Raises:
            MissingAuthenticationTokenException, IncompleteSignatureException, InvalidSignatureException,
            UnrecognizedClientException, ExpiredTokenException: in the order of the checks.

        """
        target, headers = request.target, request.headers
        head, _, signed = headers.get(b"authorization", b"").rpartition(b", Signature=")
        date = headers.get(b"x-amz-date", b"")
        token = headers.get(_TOKEN, b"")
        short = len(head) <= _LONGEST_KEPT and len(signed) == _SIGNATURE_SIZE and date and target == b"/"
        claim = self._claim(head) if short else None
        if claim is None or (token and _TOKEN not in claim.names):
            header = _examined(request)
            signed, date = header.signature, header.date
            now = self._in_time(date)
            claim = self._in_scope(header)
        else:
            now = self._in_time(date)
            if claim.day != date[:8]:
                raise InvalidSignatureException(_wrong_day(claim.day, date))
        message = request.method, target, headers, request.body
        expected = signature(claim.key, claim.scope, date, claim.names, message)
        return _accepted(claim, token, now, right=hmac.compare_digest(expected, signed))

    def _in_time(self, date: bytes) -> int:
        """Return what time it is, if the request is of that time."""
        instant = _instant(date) if len(date) == _DATE_SIZE else None
        if instant is None:
            raise IncompleteSignatureException(
                f"Date must be in ISO-8601 'basic format'. Got '{_text(date)}'."
                " See http://en.wikipedia.org/wiki/ISO_8601"
            )
        now, window = int(self._real_time()), self._service.window
        if instant < now - window:
            raise InvalidSignatureException(
                f"Signature expired: {_text(date)} is now earlier than {_shown(now - window)}"
                f" ({_shown(now)} - {window // 60} min.)"
            )
        if instant > now + window:
            raise InvalidSignatureException(
                f"Signature not yet current: {_text(date)} is still later than {_shown(now + window)}"
                f" ({_shown(now)} + {window // 60} min.)"
            )
        return now

    def _in_scope(self, header: _Header) -> _Claim:
        """Return what is claimed, if that is for this service, and for the day of the request."""
        parts = header.credential.split(b"/")
        if len(parts) != _PARTS_OF_CREDENTIAL:
            raise IncompleteSignatureException(
                "Credential must have exactly 5 slash-delimited elements, e.g."
                f" keyid/date/region/service/term, got '{_text(header.credential)}'"
            )
        flaws = " ".join(self._flaws(parts, header.date))
        if flaws:
            raise InvalidSignatureException(flaws)
        key_id, day, region, _, _ = parts
        scope = header.credential.partition(b"/")[2]
        access_key_id = _text(key_id)
        credential = self._credentials.get(access_key_id)
        key = self._signing_key(access_key_id, day, region)
        return _Claim(credential, day, _text(region), scope, header.names, key)

    def _flaws(self, parts: list[bytes], date: bytes) -> Iterator[str]:
        """Yield what is wrong with a scope; what was recorded of Regions and services ends in a blank."""
        _, day, region, service, terminator = parts
        right = service == self._service.name, terminator == TERMINATOR, day == date[:8]
        if not _REGION.fullmatch(region):
            end = " " if all(right) else ""
            yield f"Credential should be scoped to a valid region, not '{_text(region)}'.{end}"
        if not right[0]:
            end = " " if all(right[1:]) else ""
            yield f"Credential should be scoped to correct service: '{_text(self._service.name)}'.{end}"
        if not right[1]:
            yield (
                "Credential should be scoped with a valid terminator: 'aws4_request', not"
                f" '{_text(terminator)}'."
            )
        if not right[2]:
            yield _wrong_day(day, date)

    def _read(self, head: bytes) -> _Claim | None:
        """Return what is claimed by a header without its signature, if nothing is wrong with it."""
        algorithm, _, rest = head.partition(b" ")
        parts = rest.split(b", ")
        if algorithm != ALGORITHM or len(parts) != 2:  # noqa: PLR2004 - Credential and SignedHeaders
            return None
        credential, names = (part.partition(b"=")[2] for part in parts)
        signed = _names(names)
        if not (parts[0].startswith(b"Credential=") and parts[1].startswith(b"SignedHeaders=")):
            return None
        if b"host" not in signed or b"x-amz-target" not in signed:
            return None
        day = [*credential.split(b"/", 2), b""][1]
        try:
            return self._in_scope(_Header(credential, signed, b"", day))
        except (IncompleteSignatureException, InvalidSignatureException):
            return None

    def _derived(self, access_key_id: str, day: bytes, region: bytes) -> bytes:
        credential = self._credentials.get(access_key_id)
        secret = _NO_SECRET if credential is None else credential.secret_access_key
        return signing_key(secret, day, region, self._service.name)


def _accepted(claim: _Claim, token: bytes, now: int, *, right: bool) -> Verified:
    """Return who signed, if the token is the credential's, and not out of date, and the signature right."""
    credential = claim.credential
    if credential is None or not hmac.compare_digest((credential.session_token or "").encode(), token):
        raise UnrecognizedClientException
    if credential.expires is not None and credential.expires <= now:
        raise ExpiredTokenException
    if not right:
        raise InvalidSignatureException
    return Verified(credential, claim.region)


def _examined(request: Request) -> _Header:
    """Return the parts of the header, if they are all there and all is signed that must be."""
    headers = request.headers
    authorization = headers.get(b"authorization", b"").strip()
    if not authorization:  # a presigned URL says all in its query, and is not taken
        raise MissingAuthenticationTokenException
    if b"x-amz-algorithm=" in request.target.lower():
        raise InvalidSignatureException
    algorithm, _, rest = authorization.partition(b" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignatureException(f"Unsupported AWS 'algorithm': '{_text(algorithm)}'.")
    parts = _parts(rest, authorization)
    date = headers.get(b"x-amz-date") or headers.get(b"date", b"")
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not parts.get(name.encode())]
    texts = [f"Authorization header requires '{name}' parameter." for name in missing]
    if not date:
        texts.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if texts:
        raise IncompleteSignatureException(" ".join([*texts, f"Authorization={_text(algorithm)}"]))
    names = _names(parts[b"SignedHeaders"])
    for name, shown in _MUST_BE_SIGNED.items():
        if name not in names and (name in headers or name == b"host"):
            raise InvalidSignatureException(f"{shown} must be a 'SignedHeader' in the AWS Authorization.")
    return _Header(parts[b"Credential"], names, parts[b"Signature"], date)


def _parts(rest: bytes, authorization: bytes) -> dict[bytes, bytes]:
    """Return the parts of the header by name; of two of one name the last."""
    parts: dict[bytes, bytes] = {}
    for part in (part.strip() for part in rest.split(b",")) if rest.strip() else ():
        name, equals, value = part.partition(b"=")
        if not equals:
            raise IncompleteSignatureException(
                f"'{_text(part)}' not a valid key=value pair (missing equal-sign) in Authorization header:"
                f" '{_text(authorization)}'"
            )
        parts[name] = value
    return parts


def _names(signed: bytes) -> tuple[bytes, ...]:
    return tuple(sorted(signed.lower().split(b";")))


@lru_cache(maxsize=_KEPT)
def _instant(date: bytes) -> int | None:
    """Return the seconds since the epoch of a date in basic format; None where it is none."""
    matched = _DATE.fullmatch(date)
    if matched is None:
        return None
    try:
        year, month, day, hour, minute, second = map(int, matched.groups())
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _shown(instant: int) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y%m%dT%H%M%SZ")


def _wrong_day(day: bytes, date: bytes) -> str:
    return (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
        f" '{_text(day)}' != '{_text(date[:8])}', from '{_text(date)}'."
    )


def _text(given: bytes) -> str:
    return given.decode("latin-1")
