"""The time of the person at the terminal.

The Clock port is the simulator's time, which may be simulated; a person's patience is not.
"""

from collections.abc import Iterator
from time import monotonic, sleep, time  # noqa: TID251 - see above
from typing import Final

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 1.0


def wall_time() -> float:
    """Return the time of this machine, in seconds since the epoch."""
    return time()


def pauses(timeout: float) -> Iterator[float]:
    """Give turns with ever longer pauses between, for `timeout` seconds; yield how many have gone."""
    start, pause = monotonic(), FIRST_PAUSE
    while True:
        elapsed = monotonic() - start
        yield elapsed
        if elapsed >= timeout:
            return
        sleep(min(pause, timeout - elapsed))
        pause = min(pause * 1.3, LONGEST_PAUSE)
