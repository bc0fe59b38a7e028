"""The clock: the machine's, as the simulation has set it."""

import time  # noqa: TID251  # this is the Clock port's own adapter
from collections.abc import Callable
from functools import partial
from typing import Final

from hsmstore.domain.clock import ClockSetting

_MONOTONIC: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS's own counts its sleep

monotonic: Final[Callable[[], float]] = partial(time.clock_gettime, _MONOTONIC)
"""Return seconds that only grow, a machine's sleep included: a lease does not wait for a lid to be opened."""


stopwatch: Final[Callable[[], float]] = time.perf_counter
"""Return seconds that only grow, to measure short times by; it is the cheapest clock."""


def real_time() -> float:
    """Return the machine's time, in seconds since the epoch."""
    return time.time()


class SystemClock:
    """The machine's time, read once and counted on from there, so that setting it back does no harm."""

    def __init__(self, setting: ClockSetting | None = None, *, not_before: float = 0.0) -> None:
        """Run as `setting` says, or as the machine does; never show a time before `not_before`.

        `not_before` is what the last process saw: the machine may have been set back since.
        """
        self._started = time.time() - time.monotonic()
        real = self.real()
        setting = setting or ClockSetting(real, real)
        if setting.real > real:  # the machine has been set back: run on from here, do not wait for it
            setting = ClockSetting(real, setting.shown, setting.rate)
        behind = not_before - setting.at(real)
        self._setting = setting.advanced(real, behind) if behind > 0 else setting

    def now(self) -> float:
        """Return the simulation's time, in seconds since the epoch."""
        return self._setting.at(self._started + time.monotonic())

    def real(self) -> float:
        """Return the machine's time, in seconds since the epoch."""
        return self._started + time.monotonic()

    @property
    def setting(self) -> ClockSetting:
        """How the clock is set."""
        return self._setting

    def set(self, setting: ClockSetting) -> None:
        """Run as `setting` says from now on."""
        self._setting = setting
