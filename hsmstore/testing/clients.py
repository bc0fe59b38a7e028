"""boto3 without a socket: botocore asks its event `before-send` for an answer, and here it gets one.

So does aiobotocore, whose sessions are botocore's.

Everything before and behind it is botocore's own: validation, signature, parsing, errors, retries.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from functools import cache
from typing import Any, Final, Self
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError
from botocore.handlers import BUILTIN_HANDLERS

from hsmstore.domain.ports import Clock
from hsmstore.settings.environment import lent
from hsmstore.wire.http import Request, Response

Answer = Callable[[Request], Response | None]

SERVICES: Final = ("kms", "sts")
NAME: Final = "hsmstore"
"""Stands for access key and secret: nobody is refused for theirs, unless calls must be signed."""

_KEYS: Final = {"aws_access_key_id": NAME, "aws_secret_access_key": NAME}
_ONCE: Final = Config(retries={"total_max_attempts": 1})
_making: Final = threading.Lock()  # sessions are not to be shared by threads


class Wire:
    """Answers what botocore is about to send."""

    def __init__(self, answer: Answer, clock: Clock) -> None:
        """Take who answers, and the clock of the Date header, which shows the real time."""
        self._answer = answer
        self._clock = clock

    def __call__(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        """Return the answer.

        Raises:
            ConnectionClosedError: there is none, as when a server has closed the connection.

        """
        response = self._answer(_request(request))
        if response is None:
            raise ConnectionClosedError(endpoint_url=request.url)
        headers = dict(line.split(": ", 1) for line in response.headers.decode("latin-1").splitlines())
        headers["Date"] = formatdate(self._clock.real(), usegmt=True)
        headers["Content-Length"] = str(len(response.body))
        return _Answered(request.url, int(response.status), headers, _Body(response.body))


class _Body(bytes):
    """A body that is there, where aiobotocore waits for one."""

    def __await__(self) -> Generator[None, None, Self]:
        yield from ()
        return self


class _Answered(AWSResponse):  # type: ignore[misc]  # botocore publishes no types
    """A response whose body need not be read from a socket."""

    @property
    def content(self) -> _Body:
        body: _Body = self.raw
        return body


def _request(request: AWSPreparedRequest) -> Request:
    """Return what a server would have read of it."""
    url = urlsplit(request.url)
    headers = {b"host": url.netloc.encode()}
    for name, value in request.headers.items():
        headers[name.lower().encode()] = value if isinstance(value, bytes) else value.encode("latin-1")
    target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    body = request.body or b""
    return Request(
        request.method.encode(),
        target.encode(),
        headers,
        body if isinstance(body, bytes) else body.encode(),
        source="127.0.0.1",
    )


def client(wire: Wire, region: str, options: Mapping[str, Any]) -> Any:
    """Return a client of KMS behind a wire; `options` are those of `boto3.client`."""
    config = options.get("config")
    chosen = {"region_name": region, **_KEYS, **options, "config": _ONCE.merge(config) if config else _ONCE}
    with _making:
        made = _session().client("kms", **chosen)
    attach(wire, made)
    return made


def attach(wire: Wire, client_or_session: Any) -> None:
    """Put a wire before a client, or before every client that a session will make."""
    meta = getattr(client_or_session, "meta", None)
    events = getattr(client_or_session, "events", None) if meta is None else meta.events
    register = client_or_session.register if events is None else events.register_first
    for service in SERVICES:
        register(f"before-send.{service}", wire)


@contextmanager
def as_default(wire: Wire, region: str) -> Iterator[None]:
    """Let boto3's own session, and every one that is made in the context, be behind a wire.

    What has been made before goes where it went. Keys and a Region are there for who has none.
    """
    session = boto3.Session(botocore_session=_core(), region_name=region, **_KEYS)
    attach(wire, session)
    _session()  # it is everybody's and stays, so that it is not to be made with this wire
    caught = [(f"before-send.{service}", wire) for service in SERVICES]
    before, boto3.DEFAULT_SESSION = boto3.DEFAULT_SESSION, session
    BUILTIN_HANDLERS[:0] = caught  # of two contexts the inner one is asked first
    try:
        with lent({**{name.upper(): key for name, key in _KEYS.items()}, "AWS_DEFAULT_REGION": region}):
            yield
    finally:
        for handler in caught:
            BUILTIN_HANDLERS.remove(handler)
        boto3.DEFAULT_SESSION = before


@cache
def _session() -> Any:
    return boto3.Session(botocore_session=_core())


def _core() -> Any:
    """Return a new session of botocore's that reads the models of services once in a process."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    return core


@cache
def _loader() -> Any:
    return botocore.session.get_session().get_component("data_loader")
