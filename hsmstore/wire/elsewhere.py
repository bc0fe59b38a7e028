"""What another emulator serves: requests are sent on as they came, and lists are of both.

A refusal that says `foreign` came of something that is not here, before anything was changed. With an
upstream such a request goes there; without one the refusal stands.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from hsmstore.domain.errors import InvalidMarkerException, KMSInternalException
from hsmstore.domain.limits import ALIASES_PAGE, GRANTS_PAGE, KEYS_PAGE
from hsmstore.domain.upstream import Upstream, UpstreamAway
from hsmstore.service.markers import Listing
from hsmstore.service.shapes import Response
from hsmstore.service.world import Call, World
from hsmstore.wire import awsjson
from hsmstore.wire.http import Request
from hsmstore.wire.http import Response as HttpResponse


class _List(NamedTuple):
    """A list that is of both sides: where its items are, and its default and greatest Limit."""

    items: str
    default: int
    most: int


LISTS: Final[Mapping[str, _List]] = MappingProxyType(
    {
        "ListKeys": _List("Keys", *KEYS_PAGE),
        "ListAliases": _List("Aliases", *ALIASES_PAGE),
        "ListRetirableGrants": _List("Grants", *GRANTS_PAGE),
    }
)


def is_of_both(name: str, members: Any) -> bool:
    """Tell whether a list is of both sides; what is listed of one key is with that key."""
    return name in LISTS and getattr(members, "key_id", None) is None


class _Place(NamedTuple):
    """Where in the upstream's list: behind its own marker (none at the start), and so many items."""

    marker: str
    skip: int


_THEIR_START: Final = _Place("", 0)


class Elsewhere:
    """The upstream, as the wire meets it."""

    def __init__(self, world: World, upstream: Upstream) -> None:
        """Take the upstream, and the world whose markers say where a page ended."""
        self._world = world
        self._upstream = upstream

    def forward(self, request: Request, body: bytes | None = None) -> HttpResponse:
        """Send a request on, with a `body` of ours if there is one, and return the answer.

        Raises:
            KMSInternalException: there was no answer.

        """
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.items()}
        target = request.target.decode("latin-1")
        sent = body if body is not None else request.body or b""
        try:
            answer = self._upstream.ask(request.method.decode("latin-1"), target, headers, sent)
        except UpstreamAway as error:
            raise KMSInternalException(
                f"This request goes to {self._upstream.url}, which does not answer.", internal=error.reason
            ) from error
        lines = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
        return HttpResponse(answer.status, lines.encode("latin-1"), answer.body)

    def merged(
        self, name: str, serve: Callable[[Any, Call], Response], members: Any, call: Call, request: Request
    ) -> HttpResponse:
        """Return a page of a list: ours to its end, then the upstream's.

        Raises:
            InvalidMarkerException: a Marker that neither side has made.
            KMSInternalException: the upstream did not answer.

        """
        both = LISTS[name]
        listing = Listing(self._world, call.scope, f"upstream/{name}")
        limit = min(members.limit or both.default, both.most)
        ours: list[Any] = []
        place = self._their_place(listing, members.marker)
        if place is None:
            page = msgspec.to_builtins(serve(members, call))
            if page["Truncated"]:
                return _page(call, page)
            ours, place = page[both.items], _THEIR_START
        if len(ours) >= limit:
            return _page(call, _whole(both, ours, listing.marker(place)))
        answer = self._ask_on(request, place, limit - len(ours))
        if answer.status != HTTPStatus.OK:  # the upstream's refusal is its own
            return answer
        theirs, place = _cut(msgspec.json.decode(answer.body), both, place, limit - len(ours))
        return _page(call, _whole(both, ours + theirs, None if place is None else listing.marker(place)))

    @staticmethod
    def _their_place(listing: Listing, marker: str | None) -> _Place | None:
        """Return where in the upstream's list the page before ended, or None where it was one of ours."""
        try:
            end = listing.open_marker(marker, tuple[str, int])
        except InvalidMarkerException:
            return None  # then it is ours, or nobody's
        return None if end is None else _Place(*end)

    def _ask_on(self, request: Request, place: _Place, limit: int) -> HttpResponse:
        members = msgspec.json.decode(request.body or b"{}") | {"Limit": place.skip + limit}
        members.pop("Marker", None)
        if place.marker:
            members["Marker"] = place.marker
        return self.forward(request, msgspec.json.encode(members))


def _cut(page: dict[str, Any], both: _List, place: _Place, limit: int) -> tuple[list[Any], _Place | None]:
    """Return what comes behind `place` on a page of the upstream's, at most `limit`, and where that ends.

    There are emulators that take no notice of Limit.
    """
    rest = page.get(both.items, [])[place.skip :]
    if len(rest) > limit:
        return rest[:limit], _Place(place.marker, place.skip + limit)
    return rest, _Place(page["NextMarker"], 0) if page.get("Truncated") else None


def _whole(both: _List, items: list[Any], marker: str | None) -> dict[str, Any]:
    page = {both.items: items, "Truncated": marker is not None}
    return page if marker is None else page | {"NextMarker": marker}


def _page(call: Call, page: dict[str, Any]) -> HttpResponse:
    return HttpResponse(HTTPStatus.OK, awsjson.head(call.request_id), awsjson.encode(page))
