"""What goes on when nobody asks: what is due becomes a fact, and a replica's lease is renewed."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from hsmstore.domain.errors import Conflict, EnvironmentUnfit
from hsmstore.domain.lease import RENEWALS
from hsmstore.domain.notices import Notices
from hsmstore.service import lifecycle, replica
from hsmstore.service.settling import next_due, settle
from hsmstore.service.world import World

log = logging.getLogger(__name__)

TICK: Final = 0.1  # seconds between two looks at what is due
TICK_OF_REPLICAS: Final = 0.5  # likewise, where many look at one database
REST_MAX: Final = 10.0  # seconds: somebody may have written to the file past this process
TICK_AFTER_FAILURE: Final = 1.0  # seconds until what failed is tried again


@contextmanager
def keeping(world: World, notices: Notices) -> Iterator[None]:
    """Keep the world moving for as long as the context lasts.

    Raises:
        EnvironmentUnfit: the registry does not give a lease.

    """
    ticker, renewer = Ticker(world), Renewer(world)
    if world.replica.shared:
        replica.take_over(world)
        replica.renew(world)
        renewer.start()
        notices.start(partial(replica.heed, world))
    else:
        lifecycle.resume_elsewhere(world)
    ticker.start()
    try:
        yield
    finally:
        ticker.stop()
        notices.stop()
        renewer.stop()


class Ticker(threading.Thread):
    """Settles what is due when nobody looks; at first it logs in again wherever a row says CONNECTED."""

    def __init__(self, world: World) -> None:
        """Take the world to keep moving."""
        super().__init__(name="ticker", daemon=True)
        self._world = world
        self._stopping = threading.Event()
        self._looked_at = -1  # how many writes there had been before the last look
        self._next_due = 0.0
        self._rests_until = 0.0

    def run(self) -> None:
        """Tick until told to stop; a tick that fails is logged and the next one tries again.

        A replica logs in to a cluster when it is first asked for its bytes: it may never be.
        """
        shared = self._world.replica.shared
        if not shared:
            self._guarded(lifecycle.resume)
        tick, went = TICK_OF_REPLICAS if shared else TICK, True
        while not self._stopping.wait(tick if went else TICK_AFTER_FAILURE):
            went = self._guarded(settle if shared else self.settle) is True

    def settle(self, world: World) -> bool:
        """Settle where nobody else writes: what is due next is known until something is written here."""
        writes, monotonic = world.registry.writes(), world.replica.monotonic()
        if writes == self._looked_at and world.clock.now() < self._next_due and monotonic < self._rests_until:
            return True
        went = settle(world)
        if went:
            self._looked_at, self._next_due = writes, next_due(world)
            self._rests_until = monotonic + REST_MAX
        return went

    def stop(self) -> None:
        """End after the tick under way."""
        self._stopping.set()
        self.join()

    def _guarded(self, step: Callable[[World], bool | None]) -> bool | None:
        try:
            return step(self._world)
        except EnvironmentUnfit as error:
            log.warning("the ticker could not %s: %s", step.__name__, error)
        except Exception:
            log.exception("the ticker could not %s", step.__name__)
        return None


class Renewer(threading.Thread):
    """Renews a replica's lease, and reads what has changed unheard."""

    def __init__(self, world: World) -> None:
        """Take the world whose lease it is."""
        super().__init__(name="renewer", daemon=True)
        self._world = world
        self._stopping = threading.Event()

    def run(self) -> None:
        """Renew until told to stop; what fails is logged and tried again a little sooner."""
        pause = self._world.replica.seconds / RENEWALS
        went = True
        while not self._stopping.wait(pause if went else pause / 2):
            went = all(self._guarded(step) for step in (replica.renew, replica.look, replica.sweep))

    def stop(self) -> None:
        """End after the renewal under way. Idempotent."""
        self._stopping.set()
        if self.ident is not None:
            self.join()

    def _guarded(self, step: Callable[[World], object]) -> bool:
        try:
            step(self._world)
        except (EnvironmentUnfit, Conflict) as error:
            log.warning("the renewer could not %s: %s", step.__name__, error)
        except Exception:
            log.exception("the renewer could not %s", step.__name__)
        else:
            return True
        return False
