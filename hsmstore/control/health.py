"""Whether the server is well, whether it should be sent calls, and what it has counted."""

from collections.abc import Callable
from typing import Any, Final

import falcon

from hsmstore import __version__
from hsmstore.service.world import World

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of Prometheus's text format."""


class Health:
    """Whether calls are served: not before everything has started, and no longer once the process drains.

    A lapsed lease is told and is no ill health: the replica takes another as soon as it reaches its registry,
    and being started anew would not help it.
    """

    def __init__(self, world: World) -> None:
        """Start as `starting`."""
        self._world = world
        self.status = "starting"

    @property
    def lease(self) -> str:
        """How the replica's lease stands: `none` where nobody shares the registry, `held` or `lapsed`."""
        replica = self._world.replica
        if not replica.shared:
            return "none"
        return "lapsed" if replica.is_lapsed else "held"

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Answer 200 while calls are served, 503 otherwise."""
        response.status = falcon.HTTP_200 if self.status == "ok" else falcon.HTTP_503
        response.media = {
            "status": self.status,
            "version": __version__,
            "profile": self._world.terms.profile,
            "account": self._world.home.account,
            "region": self._world.home.region,
            "lease": self.lease,
        }


class Readiness:
    """Whether a load balancer should send calls here."""

    def __init__(self, health: Health) -> None:
        """Take what knows."""
        self._health = health

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Answer 200 where calls would be served, and 503 with the reason where they would not."""
        reason = self._reason()
        response.status = falcon.HTTP_200 if reason is None else falcon.HTTP_503
        media: dict[str, Any] = {"ready": reason is None}
        response.media = media if reason is None else {**media, "reason": reason}

    def _reason(self) -> str | None:
        if self._health.status != "ok":
            return f"the server is {self._health.status}"
        if self._health.lease == "lapsed":
            return "this replica's lease has lapsed: it does not reach its registry"
        return None


class Metrics:
    """What Prometheus scrapes."""

    def __init__(self, scrape: Callable[[], bytes]) -> None:
        """Take what gives the text."""
        self._scrape = scrape

    def on_get(self, _: falcon.Request, response: falcon.Response) -> None:
        """Answer Prometheus's text format, whatever format was asked for."""
        response.content_type = _TEXT
        response.data = self._scrape()
