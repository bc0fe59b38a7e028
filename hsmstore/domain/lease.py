"""A replica's lease: for how long the others must reckon with its draws.

The registry keeps it by the database's own clock. Its holder keeps it by a monotonic clock of its own, read
before the registry was asked, so that it never thinks the lease longer than the others do.
"""

from typing import Final

LEASE: Final = 6.0
"""Seconds. For so long a crash may hold up a disconnect, and who has lost the registry may go on drawing."""

RENEWALS: Final = 3
"""How often a lease is renewed within its time: two renewals may fail or be late before it lapses."""

MARGIN: Final = 2.0
"""Seconds that the others wait longer than the holder.

It covers what makes the two clocks differ while a lease lasts: their rates (NTP corrects by 0.05 % at most,
3 ms of a lease), and steps of the database's clock (time daemons slew once they have started; a leap second,
or a small step by hand, stays within this).
"""

FOREVER: Final = float("inf")
"""The lease of a process that shares its registry with no other."""


def renewal(lease: float) -> float:
    """Return how many seconds pass between two renewals of a lease of so many seconds."""
    return lease / RENEWALS


def local_deadline(asked_at: float, lease: float) -> float:
    """Return when the holder's lease ends by the clock that said `asked_at` before the registry was asked."""
    return asked_at + lease


def may_still_draw(lease_until: float, now: float) -> bool:
    """Tell whether the others must still reckon with the holder; both by the database's clock."""
    return lease_until + MARGIN > now
