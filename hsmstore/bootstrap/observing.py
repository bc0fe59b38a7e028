"""What a server tells of itself, put together."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from hsmstore import __version__
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.tally import Tally
from hsmstore.domain.tracing import Spans
from hsmstore.service.world import World
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import stopwatch
from hsmstore.wire.http import Application
from hsmstore.wire.metering import MeteredApplication
from hsmstore.wire.tracing import TracedApplication


@contextmanager
def traced(settings: Settings) -> Iterator[Spans | None]:
    """Give where spans go, if the server is to be traced; send at the end what is left.

    Raises:
        EnvironmentUnfit: OpenTelemetry is not installed.

    """
    if not settings.traces:
        yield None
        return
    try:
        from hsmstore.tracing.spans import exporting  # noqa: PLC0415  # only such a server needs OpenTelemetry
    except ModuleNotFoundError as error:
        raise EnvironmentUnfit(
            f"--traces needs OpenTelemetry: there is no {error.name}", "pip install 'hsmstore[otel]'"
        ) from None
    spans = exporting()
    try:
        yield spans
    finally:
        spans.close()


def observed(application: Application, tally: Tally, spans: Spans | None) -> Application:
    """Return the application, counted and where there are spans traced."""
    served = application if spans is None else TracedApplication(application, spans)
    return MeteredApplication(served, tally, stopwatch)


class Sockets(Protocol):
    """What is asked of the HTTP server."""

    def waiting(self) -> dict[str, int]:
        """Return how many calls are in the threads or wait for one, by the kind of threads."""

    def connected(self) -> int:
        """Return how many clients are connected."""


def scraping(world: World, tally: Tally, server: Callable[[], Sockets]) -> Callable[[], bytes]:
    """Return what makes a scrape. Until the first one the library is not loaded: most servers see none."""
    made: list[Callable[[], bytes]] = []

    def scrape() -> bytes:
        if not made:
            from hsmstore.metrics.exposition import Exposition, Standing  # noqa: PLC0415  # see above

            standing = Standing(
                sessions=world.gate.count,
                waiting=server().waiting,
                connections=server().connected,
                lease=lambda: _lease(world),
                build=lambda: (__version__, world.terms.profile.value),
            )
            made.append(Exposition(tally, world.registry, standing).text)
        return made[0]()

    return scrape


def _lease(world: World) -> float | None:
    """Return how many seconds are left of the lease, if there is one that can lapse."""
    replica = world.replica
    return replica.lease.ends - replica.monotonic() if replica.shared else None
