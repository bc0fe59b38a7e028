"""A replica's lease: for how long the others must reckon with its draws.

The registry keeps it by the database's own clock. Its holder keeps it by a monotonic clock of its own, read
before the registry was asked, so that it never thinks the lease longer than the others do. Others judge it
lapsed by deleting its row and in no other way: until then it may be renewed, and afterwards never.
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

FORGOTTEN: Final = 60.0
"""Seconds after which a lapsed lease is swept away though nobody waits for it."""


class Lease:
    """One lease of one process: its id, and when it ends by the holder's monotonic clock.

    `ends` only ever grows. One that has been judged lapsed stays as it is, so that what was opened under it
    can never draw again; its holder takes another.
    """

    __slots__ = ("ends", "id")

    def __init__(self, lease_id: str, ends: float) -> None:
        self.id: Final = lease_id
        self.ends = ends

    def renewed(self, asked_at: float, seconds: float) -> None:
        """Prolong the lease, which the registry was asked for at `asked_at` and has granted."""
        self.ends = max(self.ends, asked_at + seconds)


UNENDING: Final = Lease("", float("inf"))
"""The lease of a process that shares its registry with no other."""
