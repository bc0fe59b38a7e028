"""Pages of lists. A marker says where a page ended, sealed: opaque, and of no use for another list."""

import base64
import binascii
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import msgspec

from hsmstore.domain.errors import InvalidMarkerException
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.ports import SealBroken
from hsmstore.service.world import World

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """A page of a list; `marker` is None at the list's end."""

    items: list[T]
    marker: str | None

    @property
    def truncated(self) -> bool:
        """Whether there is more."""
        return self.marker is not None


class Listing(NamedTuple):
    """A list of one account and Region, by its name."""

    world: World
    scope: Scope
    name: str

    def page(self, found: list[T], limit: int, place: Callable[[T], object]) -> Page[T]:
        """Return the first `limit` of what was found; `place` says where an item stands in the list."""
        if len(found) <= limit:
            return Page(found, None)
        return Page(found[:limit], self.marker(place(found[limit - 1])))

    def marker(self, place: object) -> str:
        """Return the marker of a page that ended at `place`."""
        end = self.world.sealer.seal(msgspec.json.encode(place), self._identity)
        return base64.urlsafe_b64encode(end).decode("ascii")

    def open_marker(self, marker: str | None, kind: type[T]) -> T | None:
        """Return the place at which the page before ended, or None for the first page.

        Raises:
            InvalidMarkerException: it was not made here, or for another list, account or Region.

        """
        if marker is None:
            return None
        try:
            sealed = base64.b64decode(marker.encode(), altchars=b"-_", validate=True)
            end = self.world.sealer.unseal(sealed, self._identity)
        except (binascii.Error, SealBroken) as error:
            raise InvalidMarkerException("The marker is not valid.") from error
        return msgspec.json.decode(end, type=kind)

    @property
    def _identity(self) -> str:
        return f"marker/{self.name}/{self.scope.account}/{self.scope.region}"
