"""The KMS endpoint, `POST /`: a WSGI application from bytes to bytes.

`_answer` is the pipeline, and its order is the precedence of errors: size of the body, operation, caller,
types and constraints, the keys that are named, then the service's own refusals. `__call__` has the only way
out for all of them.
"""

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

import msgspec

from hsmstore.domain.errors import (
    AwsError,
    EnvironmentUnfit,
    KMSInternalException,
    RequestEntityTooLargeException,
    UnknownOperationException,
)
from hsmstore.domain.identifiers import new_request_id
from hsmstore.domain.limits import REQUEST_BODY_MAX
from hsmstore.service.faults import ConnectionDropped, strike
from hsmstore.service.keys.resolving import named_keys
from hsmstore.service.shapes import Response
from hsmstore.service.world import Call, World, starting_again
from hsmstore.wire import awsjson, validation
from hsmstore.wire.auth import Identification
from hsmstore.wire.operations import OPERATIONS, Operation

log = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]  # WSGI's; its third argument is optional
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

_OK: Final = "200 OK"
_NOT_FOUND: Final = "404 Not Found"
_STATUS: Final = {code.value: f"{code.value} {code.phrase}" for code in HTTPStatus}

_PIECE: Final = 64 * 1024
_DISCARDED_PIECES: Final = 256

MANAGEMENT_PREFIX: Final = "/_hsmstore"


class KmsApplication:
    """Serves KMS at `/` and hands everything below `/_hsmstore` to the management application."""

    def __init__(self, world: World, management: Application) -> None:
        """Take the world to serve, and who serves the rest."""
        self._world = world
        self._management = management
        self._identification = Identification(world.home)
        self._public_bits = world.entropy.public_bits

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ["PATH_INFO"].startswith(MANAGEMENT_PREFIX):
            return self._management(environ, start_response)
        request_id = new_request_id(self._public_bits(128))
        if not _is_awsjson(environ):
            # Measured on another awsJson1.1 service, which answers in the protocol that it guesses.
            start_response(_NOT_FOUND, awsjson.headers(request_id, "application/xml"))
            return [b"<UnknownOperationException/>"]
        try:
            body = self._answer(environ, request_id)
            status = _OK
        except ConnectionDropped:
            start_response(_STATUS[HTTPStatus.INTERNAL_SERVER_ERROR], [("Content-Length", "1")])
            return _Dropped()
        except Exception as error:  # noqa: BLE001  # the one way out for every refusal
            refusal = _refusal(error, request_id)
            body = awsjson.error_body(refusal)
            status = _STATUS[refusal.status]
        start_response(status, awsjson.headers(request_id))
        return [body]

    def _answer(self, environ: Environ, request_id: str) -> bytes:
        body = _read(environ)
        operation = OPERATIONS.get(environ.get("HTTP_X_AMZ_TARGET", ""))
        if operation is None:
            raise UnknownOperationException
        call = Call(self._identification.scope(environ.get("HTTP_AUTHORIZATION")), request_id)
        try:
            # As text: msgspec would not look for bad UTF-8 in the members that it passes over.
            request = operation.decode(body.decode())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            request = validation.decode(body, operation.request)
        if self._world.faults.active:
            strike(self._world, call.scope, operation.name, request)
        if operation.key_members:
            return awsjson.answer_body(self._serve_keys(operation, request, call))
        return awsjson.answer_body(operation.serve(request, call, self._world))

    @starting_again
    def _serve_keys(self, operation: Operation, request: Any, call: Call) -> Response:
        """Find the keys that the request names and serve it; from the start, if one changed meanwhile."""
        keys = named_keys(self._world, call, request, operation.key_members)
        return operation.serve(request, call._replace(keys=keys), self._world)


class _Dropped:
    """A body that breaks off before its announced length: the server can only close the connection.

    Granian cannot be told to close it before the head of an answer. boto3 does not look at lengths, so the
    head must not speak of success.
    """

    def __iter__(self) -> "_Dropped":
        return self

    def __next__(self) -> bytes:
        raise ConnectionAbortedError

    def close(self) -> None:
        """End it; WSGI asks for this."""


def _is_awsjson(environ: Environ) -> bool:
    if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] != "/":
        return False
    content_type: str = environ.get("CONTENT_TYPE", "")
    return content_type == awsjson.CONTENT_TYPE or (
        content_type.partition(";")[0].strip().lower() == awsjson.CONTENT_TYPE
    )


def _read(environ: Environ) -> bytes:
    """Read the body, and no more of it than the endpoint takes; a chunked one does not say its length."""
    stream = environ["wsgi.input"]
    body: bytes = stream.read(REQUEST_BODY_MAX + 1)
    if len(body) > REQUEST_BODY_MAX:
        _discard(stream)
        raise RequestEntityTooLargeException(f"The request body is larger than {REQUEST_BODY_MAX} bytes.")
    return body


def _discard(stream: Any) -> None:
    """Read on, within reason: a client that cannot send its body to the end would not see the answer."""
    for _ in range(_DISCARDED_PIECES):
        if not stream.read(_PIECE):
            return


def _refusal(error: Exception, request_id: str) -> AwsError:
    """Return what the caller may know of `error`; the log gets the rest."""
    if isinstance(error, AwsError):
        if error.internal is not None:
            log.warning("%s: %s: %s", request_id, error.code, error.internal)
        return error
    if isinstance(error, EnvironmentUnfit):
        log.warning("%s: %s", request_id, error)
        return KMSInternalException("The simulator cannot work on this machine; its log says why.")
    log.error("%s: unexpected %s", request_id, type(error).__name__, exc_info=error)
    return KMSInternalException("The request failed because of an internal error of the simulator.")
