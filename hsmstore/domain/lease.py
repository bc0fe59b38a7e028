"""A replica's lease: for how long the others must reckon with its draws.

The registry keeps it by the database's own clock. Its holder keeps it by a monotonic clock of its own, read
before the registry was asked, so that it never thinks the lease longer than the others do. It is over for the
others when its row is deleted, and in no other way: until then it may be renewed, and afterwards never.
"""

from contextlib import AbstractContextManager
from typing import Final, NamedTuple, Protocol

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope

LEASE: Final = 6
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

NONE: Final = Lease("", float("-inf"))
"""The lease of a replica that has not taken one yet."""

GIVEN_BACK: Final = Lease("", float("-inf"))
"""The lease of a replica that has given its own back, and takes no other."""


class Holding(NamedTuple):
    """A key store that a replica holds, as it stands now; without its cluster there is no version of that."""

    scope: Scope
    key_store_id: str
    state: ConnectionState
    cluster_version: int | None


class Leases(Protocol):
    """The registry's book of replicas: their leases, what they hold, which connects they have claimed.

    Times are the database's own, whatever the simulation's clock shows. Ending or lapsing a lease ends its
    holds and claims with it.
    """

    def begin(self, lease_id: str, seconds: float) -> None:
        """Enter a new lease."""

    def renew(self, lease_id: str, seconds: float) -> bool:
        """Let the lease end so many seconds from now; False where it has been judged lapsed."""

    def end(self, lease_id: str) -> None:
        """Give the lease back. Idempotent."""

    def end_all(self, place: str) -> None:
        """End the leases of whoever had this place before; no two processes ever have it at a time."""

    def lapse(self, key_store_id: str) -> None:
        """Judge lapsed whoever holds or has claimed the store, and has not renewed for long enough."""

    def sweep(self) -> None:
        """Judge lapsed whoever has not renewed for so long that nobody will ever wait for them."""

    def hold(self, lease_id: str, key_store_id: str) -> bool:
        """Enter that draws from the store may be answered; False where the lease has been judged lapsed."""

    def let_go(self, lease_id: str, key_store_id: str) -> None:
        """Enter that none will be. Idempotent."""

    def is_held(self, key_store_id: str) -> bool:
        """Tell whether anybody holds the store, a lapsed lease that was not judged so included."""

    def holdings(self, lease_id: str) -> list[Holding]:
        """Return what the lease holds."""

    def claim(self, lease_id: str, key_store_id: str) -> bool:
        """Enter that the lease's holder completes the store's connect; False where another does."""

    def unclaim(self, lease_id: str, key_store_id: str) -> None:
        """Enter that it no longer does. Idempotent."""

    def key_check(self) -> bytes | None:
        """Return what was sealed under the master key of those who share the registry."""

    def set_key_check(self, sealed: bytes) -> None:
        """Enter it.

        Raises:
            Conflict: somebody else was first.

        """


class LeaseUnit(Protocol):
    """A transaction's part about replicas."""

    @property
    def leases(self) -> Leases:
        """What replicas say to each other."""


class LeaseRegistry(Protocol):
    """The registry's part about replicas."""

    def renewing(self) -> AbstractContextManager[Leases]:
        """Open a transaction on leases only. It waits for who changes the same lease, and for nobody else."""
