"""The KMS endpoint, `POST /`: from a request to a response.

The pipeline's order is the precedence of errors: the door, size of the body, operation, caller, quotas, types
and constraints, the keys that are named, permissions, then the service's own refusals. All of them leave
through `_refused`.
"""

import logging
from functools import partial
from http import HTTPStatus
from typing import Any, Final

import msgspec

from hsmstore.domain.door import Door
from hsmstore.domain.errors import (
    AwsError,
    EnvironmentUnfit,
    KMSInternalException,
    RequestEntityTooLargeException,
    ThrottlingException,
    UnknownOperationException,
    UnrecognizedClientException,
)
from hsmstore.domain.identifiers import Uuids
from hsmstore.domain.limits import REQUEST_BODY_MAX
from hsmstore.domain.principal import NOBODY
from hsmstore.domain.serving import SERVING, Serving
from hsmstore.domain.trail import UNRECORDED, Recording, Seen
from hsmstore.domain.upstream import Upstream
from hsmstore.service.faults import ConnectionDropped, strike
from hsmstore.service.iam.authorizing import Authorization
from hsmstore.service.keys.resolving import named_keys
from hsmstore.service.shapes import Response
from hsmstore.service.world import Call, World, starting_again
from hsmstore.wire import awsjson, sts, validation, wsgi
from hsmstore.wire.auth import Identification, Identity
from hsmstore.wire.elsewhere import Elsewhere, is_of_both
from hsmstore.wire.http import Request, Work
from hsmstore.wire.http import Response as HttpResponse
from hsmstore.wire.operations import KEPT_SIZE, OPERATIONS, Operation
from hsmstore.wire.wsgi import WsgiApplication

log = logging.getLogger(__name__)

MANAGEMENT_PREFIX: Final = b"/_hsmstore"

CONSOLE_CALLS: Final = b"/_hsmstore/console/kms/"
"""What the console asks of KMS may hang as any call, and has no threads reserved."""

_OK: Final = int(HTTPStatus.OK)  # Python 3.11 takes a quarter of a microsecond to look a member up
UNKNOWN: Final = "UnknownOperation"
"""The eventName of a call of no operation; CloudTrail has none."""

_BY_TARGET: Final = {target.encode(): operation for target, operation in OPERATIONS.items()}


class KmsApplication:
    """Serves KMS at `/` and hands everything below `/_hsmstore` to the management application."""

    def __init__(
        self,
        world: World,
        management: WsgiApplication,
        upstream: Upstream | None = None,
        identification: Identification | None = None,
        authorization: Authorization | None = None,
        *,
        door: Door | None = None,
    ) -> None:
        """Take the world, who serves the rest, who tells who calls, and who may; without, everybody may.

        `door` turns requests away before anything else looks at them.
        """
        self._world = world
        self._elsewhere = None if upstream is None else Elsewhere(world, upstream)
        self._trail = world.trail
        self._management = management
        self._identification = identification or Identification(world.home)
        self._authorization = authorization
        self._new_request_id = Uuids(world.entropy.public_bits).new
        self._turns_away = (door or Door()).refusal

    def begin(self, request: Request) -> HttpResponse | Work:
        """Answer what waits for nothing; return the rest as work."""
        # Where a callable that an attribute holds is called at once, Python 3.11 looks for a method, in vain.
        # On the way of a draw it is therefore taken from the attribute first.
        turns_away, new_request_id = self._turns_away, self._new_request_id
        turned_away = turns_away(request.headers)
        if turned_away is not None:
            return self._turn_away(turned_away, request)
        if not _is_awsjson(request):
            if request.target.startswith(MANAGEMENT_PREFIX):
                return self._manage(request)
            return self._begin_another(request)
        request_id = new_request_id()
        try:
            operation, members, identity = self._accept(request)
            promptly, may, world = operation.promptly, self._authorization, self._world
            if promptly is not None and world.terms.quotas is not None:
                self._count(operation, members.custom_key_store_id)
            if (
                promptly is not None
                and not world.faults.active
                and (
                    may is None
                    or may.allows_promptly(operation.name, members, _call(request, request_id, identity))
                )
            ):
                scope, caller = identity
                response = promptly(members, scope, world)
                if response is not None:
                    if self._trail is not None:
                        self._trail.drawn(
                            world.clock.now(),
                            request_id,
                            scope,
                            caller,
                            request.source,
                            request.headers.get(b"user-agent", b""),
                            members.custom_key_store_id,
                        )
                    return HttpResponse(_OK, awsjson.head(request_id), awsjson.encode(response))
        except Exception as error:  # noqa: BLE001  # one way out for every refusal
            return self._refused_at_first(error, request, request_id)
        call = _call(request, request_id, identity)
        return Work(partial(self._serve, operation, members, call, request))

    def _turn_away(self, why: AwsError, request: Request) -> HttpResponse:
        """Refuse what the door does; of calls that were meant for KMS there is a record."""
        request_id = self._new_request_id()
        if _is_awsjson(request):
            return self._refused_early(why, request_id, request)
        return _refused(why, request_id)

    def _refused_at_first(self, error: Exception, request: Request, request_id: str) -> HttpResponse | Work:
        """Refuse, unless the caller may have become known, or another emulator may know better."""
        if isinstance(error, UnrecognizedClientException):
            return Work(partial(self._look_again, request, request_id))
        if self._elsewhere is not None and _is_foreign(error):
            return Work(partial(self._forward, self._elsewhere, request, request_id))
        return self._refused_early(error, request_id, request)

    def _manage(self, request: Request) -> Work:
        reserved = not request.target.startswith(CONSOLE_CALLS)
        return Work(partial(wsgi.run, self._management, request), reserved=reserved)

    def _begin_another(self, request: Request) -> HttpResponse | Work:
        """Say who calls, as STS does; else send on what is no awsJson1.1, or refuse it.

        The refusal was recorded from another service of AWS.
        """
        request_id = self._new_request_id()
        if sts.is_sts(request) and (self._elsewhere is None or self._identification.knows(request)):
            return Work(partial(self._answer_sts, request, request_id))
        if self._elsewhere is not None:
            return Work(partial(self._forward, self._elsewhere, request, request_id))
        head = awsjson.head(request_id, b"application/xml")
        return HttpResponse(HTTPStatus.NOT_FOUND, head, b"<UnknownOperationException/>")

    def _answer_sts(self, request: Request, request_id: str) -> HttpResponse:
        SERVING.set(Serving(request_id, sts.ACTION))
        try:
            return sts.answer(request, request_id, self._identification)
        except Exception as error:  # noqa: BLE001  # the same way out
            return _refused(error, request_id)

    def _look_again(self, request: Request, request_id: str) -> HttpResponse | None:
        """Serve who was not known a moment ago, and may be by now: a temporary credential is used at once."""
        try:
            self._identification.look()
            operation, members, identity = self._accept(request)
        except Exception as error:  # noqa: BLE001  # the same way out
            return self._refused_early(error, request_id, request)
        return self._serve(operation, members, _call(request, request_id, identity), request)

    def overloaded(self, request: Request) -> HttpResponse:
        """Refuse as KMS refuses more calls than it takes."""
        if request.target.startswith(MANAGEMENT_PREFIX):
            return HttpResponse(HTTPStatus.SERVICE_UNAVAILABLE, b"Retry-After: 1\r\n", b"")
        return self._refused_early(ThrottlingException(), self._new_request_id(), request)

    def _accept(self, request: Request) -> tuple[Operation, Any, Identity]:
        """Do what comes before the service: its order is the precedence of errors."""
        body, headers = request.body, request.headers
        if body is None:
            raise _too_large()
        operation = _BY_TARGET.get(headers.get(b"x-amz-target", b""))
        if operation is None:
            raise UnknownOperationException().elsewhere()
        identify = self._identification.of
        identity = identify(request)
        quotas = self._world.terms.quotas
        if quotas is not None and not quotas.admit(operation.name, identity.scope, self._world.clock.now()):
            raise ThrottlingException
        decode = operation.decode_again if len(body) <= KEPT_SIZE else operation.decode
        try:
            return operation, decode(body), identity
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return operation, validation.decode(body, operation.request), identity

    def _serve(self, operation: Operation, members: Any, call: Call, request: Request) -> HttpResponse | None:
        """Do what may wait. Without an answer, the connection is to be dropped."""
        SERVING.set(Serving(call.request_id, operation.name, call.scope.account))
        recording = self._recording(operation, members, call, request)
        call = msgspec.structs.replace(call, recording=recording)
        try:
            if self._world.faults.active:
                strike(self._world, call.scope, operation.name, members)
            serve = self._serve_keys if operation.key_members else self._serve_plainly
            if self._elsewhere is not None and is_of_both(operation.name, members):
                served = partial(serve, operation)
                answer = self._elsewhere.merged(operation.name, served, members, call, request)
                recording.end()
                return answer
            response = serve(operation, members, call)
            body = awsjson.answer_body(response)
        except ConnectionDropped:
            recording.end(error=KMSInternalException("The connection was dropped by a fault."))
            return None
        except Exception as error:  # noqa: BLE001  # the same way out
            if self._elsewhere is not None and _is_foreign(error):
                return self._forward(self._elsewhere, request, call.request_id)
            return _refused(error, call.request_id, recording)
        recording.end(response)
        return HttpResponse(_OK, awsjson.head(call.request_id), body)

    def _count(self, operation: Operation, key_store_id: str | None) -> None:
        """Count a use of a key store.

        Raises:
            ThrottlingException: its quota is used up.

        """
        quotas, now = self._world.terms.quotas, self._world.clock.now()
        if quotas is None or key_store_id is None:
            return
        if not quotas.admit_to_store(operation.name, key_store_id, now):
            raise ThrottlingException

    def _recording(self, operation: Operation, members: Any, call: Call, request: Request) -> Recording:
        """Open the record of a call that has been understood."""
        if self._trail is None:
            return UNRECORDED
        return self._trail.begin(
            Seen(
                self._world.clock.now(),
                operation.name,
                operation.read_only,
                call.scope,
                call.request_id,
                members,
                request.source,
                request.headers.get(b"user-agent", b""),
                call.caller,
            )
        )

    def _refused_early(self, error: Exception, request_id: str, request: Request) -> HttpResponse:
        """Refuse a call before it has been understood; the record says as much of it as is known."""
        operation = _BY_TARGET.get(request.headers.get(b"x-amz-target", b""))
        scope, caller = self._identity_if_known(request)
        seen = Seen(
            self._world.clock.now(),
            UNKNOWN if operation is None else operation.name,
            operation is None or operation.read_only,
            scope,
            request_id,
            None,
            request.source,
            request.headers.get(b"user-agent", b""),
            caller,
        )
        recording = UNRECORDED if self._trail is None else self._trail.begin(seen)
        before = SERVING.set(Serving(request_id, seen.name, scope.account))
        try:
            return _refused(error, request_id, recording)
        finally:
            SERVING.reset(before)

    def _identity_if_known(self, request: Request) -> Identity:
        """Return who makes a request that is refused; of one that nobody has signed, nobody."""
        try:
            return self._identification.of(request)
        except AwsError:
            return Identity(self._world.home, NOBODY)

    def _serve_plainly(self, operation: Operation, members: Any, call: Call) -> Response:
        if self._authorization is not None:
            call = self._authorization.authorize(operation.name, members, call)
        return operation.serve(members, call, self._world)

    @starting_again
    def _serve_keys(self, operation: Operation, members: Any, call: Call) -> Response:
        """Find the keys that the request names and serve it; from the start, if one changed meanwhile."""
        if self._authorization is not None:
            self._authorization.require_own(operation.name, members, operation.key_members, call)
        keys = named_keys(self._world, call, members, operation.key_members)
        call.recording.found(keys)
        for store_id in {key.store.id for key in keys.values()}:
            self._count(operation, store_id)
        call = msgspec.structs.replace(call, keys=keys)
        try:
            if self._authorization is not None:
                call = self._authorization.authorize(operation.name, members, call)
            return operation.serve(members, call, self._world)
        except AwsError as error:
            error.foreign = error.foreign and not keys
            raise

    def _forward(self, elsewhere: Elsewhere, request: Request, request_id: str) -> HttpResponse:
        """Send a request on as it came; with `verify` only what a principal has signed, for any service."""
        SERVING.set(SERVING.get() or Serving(request_id))
        if request.body is None:
            return _refused(_too_large(), request_id)
        try:
            self._identification.vouch(request)
        except AwsError as error:
            if _is_awsjson(request):
                return self._refused_early(error, request_id, request)
            return sts.refused(error, request_id)
        try:
            return elsewhere.forward(request)
        except Exception as error:  # noqa: BLE001  # the same way out
            return _refused(error, request_id)


def _call(request: Request, request_id: str, identity: Identity) -> Call:
    agent = request.headers.get(b"user-agent", b"")
    return Call(identity.scope, request_id, identity.caller, source=request.source, user_agent=agent)


def _is_foreign(error: Exception) -> bool:
    return isinstance(error, AwsError) and error.foreign


def _is_awsjson(request: Request) -> bool:
    target = request.target
    if request.method != b"POST" or (target != b"/" and target.partition(b"?")[0] != b"/"):
        return False
    content_type = request.headers.get(b"content-type", b"")
    return content_type == awsjson.CONTENT_TYPE or (
        content_type.partition(b";")[0].strip().lower() == awsjson.CONTENT_TYPE
    )


def _too_large() -> RequestEntityTooLargeException:
    return RequestEntityTooLargeException(f"The request body is larger than {REQUEST_BODY_MAX} bytes.")


def _refused(error: Exception, request_id: str, recording: Recording = UNRECORDED) -> HttpResponse:
    refusal = _refusal(error)
    recording.end(error=refusal)
    return HttpResponse(refusal.status, awsjson.head(request_id), awsjson.error_body(refusal))


def _refusal(error: Exception) -> AwsError:
    """Return what the caller may know of `error`; the log gets the rest."""
    if isinstance(error, AwsError):
        if error.internal is not None:
            log.warning("%s: %s", error.code, error.internal)
        return error
    if isinstance(error, EnvironmentUnfit):
        log.warning("%s", error)
        return KMSInternalException("The simulator cannot work on this machine; its log says why.")
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return KMSInternalException("The request failed because of an internal error of the simulator.")
