"""The management API under `/_hsmstore`: what a test does to the world around KMS.

JSON in and out, errors as on CloudHSM's wire. The routes are one table; the OpenAPI document is made from it.
"""

import logging
import re
from collections.abc import Callable
from typing import Any, Final

import falcon
import msgspec

from hsmstore.control.guard import Guarded
from hsmstore.control.health import Health, Metrics, Readiness
from hsmstore.control.openapi import document
from hsmstore.control.routes import PREFIX, ROUTES, Route
from hsmstore.domain.door import Guard
from hsmstore.domain.errors import (
    AwsError,
    CloudHsmInternalFailureException,
    CloudHsmInvalidRequestException,
    EnvironmentUnfit,
)
from hsmstore.domain.identifiers import new_uuid
from hsmstore.domain.limits import REQUEST_BODY_MAX
from hsmstore.domain.serving import SERVING, Serving
from hsmstore.service.world import Call, World

log = logging.getLogger(__name__)

_TYPE: Final = "application/json"


class _OpenApi:
    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        response.media = document()


class _Resource:
    """The routes of one path, by method."""

    def __init__(self, world: World, routes: list[Route]) -> None:
        for route in routes:
            setattr(self, f"on_{route.method.lower()}", self._responder(world, route))

    @staticmethod
    def _responder(world: World, route: Route) -> Any:
        shape = route.request

        def respond(request: falcon.Request, response: falcon.Response, **path: str) -> None:
            call = Call(world.home, new_uuid(world.entropy.public_bits(128)))
            SERVING.set(Serving(call.request_id, f"{route.method} {PREFIX}{route.path}"))
            members = {**_body(request), **request.params, **path}
            try:
                typed = msgspec.convert(members, shape, strict=not request.params)
            except msgspec.ValidationError as error:
                raise CloudHsmInvalidRequestException(_without_value(str(error))) from error
            response.data = msgspec.json.encode(route.serve(typed, call, world))

        return respond


ManagementApplication = falcon.App[falcon.Request, falcon.Response]


def management_application(
    world: World, health: Health, guard: Guard, scrape: Callable[[], bytes]
) -> ManagementApplication:
    """Return the WSGI application; `scrape` gives what Prometheus reads.

    Behind `guard` lies every path but those that `control.guard` names.
    """
    application = falcon.App(media_type=_TYPE, middleware=Guarded(guard))
    application.add_error_handler(Exception, _answer_unexpected)
    application.add_error_handler(falcon.HTTPError, _answer_http)
    application.add_error_handler(AwsError, _answer_refusal)
    application.add_error_handler(EnvironmentUnfit, _answer_unfit)
    application.add_route(f"{PREFIX}/health", health)
    application.add_route(f"{PREFIX}/ready", Readiness(health))
    application.add_route(f"{PREFIX}/metrics", Metrics(scrape))
    application.add_route(f"{PREFIX}/openapi.json", _OpenApi())
    for path in dict.fromkeys(route.path for route in ROUTES):
        routes = [route for route in ROUTES if route.path == path]
        application.add_route(PREFIX + path, _Resource(world, routes))
    return application


def _body(request: falcon.Request) -> dict[str, Any]:
    if (request.content_length or 0) > REQUEST_BODY_MAX:
        raise CloudHsmInvalidRequestException(f"The body is larger than {REQUEST_BODY_MAX} bytes.")
    body = request.bounded_stream.read()
    if not body:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CloudHsmInvalidRequestException("The body is not a JSON object.") from error


def _without_value(message: str) -> str:
    """Keep msgspec's reason and path, which never hold the value, in the API's own words."""
    return re.sub(r" - at `\$\.?(.*)`", r" at '\1'", message)


def _answer_refusal(
    _: falcon.Request, response: falcon.Response, error: AwsError, __: dict[str, Any]
) -> None:
    if error.internal is not None:
        log.warning("%s: %s", error.code, error.internal)
    response.status = error.status
    response.media = {"__type": error.code, error.text_member: error.message or error.code}


def _answer_unfit(
    request: falcon.Request, response: falcon.Response, error: EnvironmentUnfit, more: dict[str, Any]
) -> None:
    _answer_refusal(request, response, CloudHsmInternalFailureException(str(error)), more)


def _answer_http(
    _: falcon.Request, response: falcon.Response, error: falcon.HTTPError, __: dict[str, Any]
) -> None:
    """Answer what Falcon itself refuses: no such path, no such method."""
    response.status = error.status
    response.set_headers(dict(error.headers or {}))
    response.media = {
        "__type": CloudHsmInvalidRequestException.code,
        "Message": error.description or f"{error.title}; {PREFIX}/openapi.json lists what there is.",
    }


def _answer_unexpected(
    request: falcon.Request, response: falcon.Response, error: Exception, more: dict[str, Any]
) -> None:
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    failure = CloudHsmInternalFailureException("An internal error of the simulator; its log says more.")
    _answer_refusal(request, response, failure, more)
