"""The wall clock."""

import time  # noqa: TID251  # this is the Clock port's own adapter


class SystemClock:
    """The Clock that the machine keeps. It may be set back; nothing may rely on it never doing so."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()


def monotonic() -> float:
    """Return seconds that only grow, for measuring how long something takes."""
    return time.monotonic()
