"""The registry's book of replicas, on SQL. Only replicas use it, and they share a PostgreSQL.

Each method is a statement or two of the caller's transaction. Time is the database's clock as it runs on
within a transaction (clock_timestamp). A lapsed lease is deleted, and to renew it is to update the same row:
who comes second waits for who came first, and finds the row gone, or changed since it was read.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import (
    Connection,
    Double,
    Executable,
    bindparam,
    cast,
    delete,
    extract,
    func,
    insert,
    select,
    union,
    update,
)

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.lease import FORGOTTEN, MARGIN, Holding
from hsmstore.storage.models import claims, clusters, holds, key_check, key_stores, replicas

_now = cast(extract("epoch", func.clock_timestamp()), Double)
_lease_until = _now + bindparam("seconds", type_=Double)
_this = replicas.c.id == bindparam("lease_id")
_held = holds.c.key_store_id == bindparam("key_store_id")
_claimed = claims.c.key_store_id == bindparam("key_store_id")
_concerned = union(select(holds.c.replica_id).where(_held), select(claims.c.replica_id).where(_claimed))

_BEGIN: Final = insert(replicas).values(id=bindparam("lease_id"), lease_until=_lease_until)
_RENEW: Final = update(replicas).where(_this).values(lease_until=_lease_until)
_END: Final = delete(replicas).where(_this)
_END_ALL: Final = delete(replicas).where(replicas.c.id.startswith(bindparam("begun"), autoescape=False))
_LAPSE: Final = delete(replicas).where(
    replicas.c.lease_until + MARGIN <= _now, replicas.c.id.in_(_concerned.scalar_subquery())
)
_SWEEP: Final = delete(replicas).where(replicas.c.lease_until + FORGOTTEN <= _now)
_EXISTS: Final = select(replicas.c.id).where(_this)
_HELD: Final = select(holds.c.replica_id).where(_held).limit(1)
_HELD_BY: Final = select(holds.c.replica_id).where(_held, holds.c.replica_id == bindparam("lease_id"))
_HOLD: Final = insert(holds).values(replica_id=bindparam("lease_id"), key_store_id=bindparam("key_store_id"))
_LET_GO: Final = delete(holds).where(_held, holds.c.replica_id == bindparam("lease_id"))
_HOLDINGS: Final = (
    select(key_stores, clusters.c.version.label("cluster_version"))
    .join_from(holds, key_stores)
    .outerjoin(clusters, clusters.c.id == key_stores.c.cluster_id)
    .where(holds.c.replica_id == bindparam("lease_id"))
    .order_by(key_stores.c.id)
)
_CLAIMANT: Final = select(claims.c.replica_id).where(_claimed)
_CLAIM: Final = insert(claims).values(
    replica_id=bindparam("lease_id"), key_store_id=bindparam("key_store_id")
)
_UNCLAIM: Final = delete(claims).where(_claimed, claims.c.replica_id == bindparam("lease_id"))
_KEY_CHECK: Final = select(key_check.c.sealed)


class SqlLeases:
    """The Leases of one open transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, lease_id: str, seconds: float) -> None:
        """Enter a new lease."""
        self._connection.execute(_BEGIN, {"lease_id": lease_id, "seconds": seconds})

    def renew(self, lease_id: str, seconds: float) -> bool:
        """Let the lease end so many seconds from now; False where it has been judged lapsed."""
        renewed = self._connection.execute(_RENEW, {"lease_id": lease_id, "seconds": seconds})
        return renewed.rowcount == 1

    def end(self, lease_id: str) -> None:
        """Give the lease back. Idempotent."""
        self._connection.execute(_END, {"lease_id": lease_id})

    def end_all(self, place: str) -> None:
        """End the leases of whoever had this place before; no two processes ever have it at a time."""
        self._connection.execute(_END_ALL, {"begun": f"{place}-"})

    def lapse(self, key_store_id: str) -> None:
        """Judge lapsed whoever holds or has claimed the store, and has not renewed for long enough."""
        self._connection.execute(_LAPSE, {"key_store_id": key_store_id})

    def sweep(self) -> None:
        """Judge lapsed whoever has not renewed for so long that nobody will ever wait for them."""
        self._connection.execute(_SWEEP)

    def hold(self, lease_id: str, key_store_id: str) -> bool:
        """Enter that draws from the store may be answered; False where the lease has been judged lapsed."""
        hold = {"lease_id": lease_id, "key_store_id": key_store_id}
        if not self._finds(_EXISTS, {"lease_id": lease_id}):
            return False
        if not self._finds(_HELD_BY, hold):
            self._connection.execute(_HOLD, hold)
        return True

    def let_go(self, lease_id: str, key_store_id: str) -> None:
        """Enter that none will be. Idempotent."""
        self._connection.execute(_LET_GO, {"lease_id": lease_id, "key_store_id": key_store_id})

    def is_held(self, key_store_id: str) -> bool:
        """Tell whether anybody holds the store, a lapsed lease that was not judged so included."""
        return self._finds(_HELD, {"key_store_id": key_store_id})

    def holdings(self, lease_id: str) -> list[Holding]:
        """Return what the lease holds."""
        return [
            Holding(Scope(row.account, row.region), row.id, ConnectionState(row.state), row.cluster_version)
            for row in self._connection.execute(_HOLDINGS, {"lease_id": lease_id})
        ]

    def claim(self, lease_id: str, key_store_id: str) -> bool:
        """Enter that the lease's holder completes the store's connect; False where another does."""
        claim = {"lease_id": lease_id, "key_store_id": key_store_id}
        claimant = self._connection.execute(_CLAIMANT, {"key_store_id": key_store_id}).scalar()
        if claimant is None and self._finds(_EXISTS, {"lease_id": lease_id}):
            self._connection.execute(_CLAIM, claim)
            return True
        return bool(claimant == lease_id)

    def unclaim(self, lease_id: str, key_store_id: str) -> None:
        """Enter that it no longer does. Idempotent."""
        self._connection.execute(_UNCLAIM, {"lease_id": lease_id, "key_store_id": key_store_id})

    def key_check(self) -> bytes | None:
        """Return what was sealed under the master key of those who share the registry."""
        sealed: bytes | None = self._connection.execute(_KEY_CHECK).scalar()
        return sealed

    def set_key_check(self, sealed: bytes) -> None:
        """Enter it.

        Raises:
            Conflict: somebody else was first.

        """
        self._connection.execute(insert(key_check), {"id": 1, "sealed": sealed})

    def _finds(self, statement: Executable, parameters: Mapping[str, object]) -> bool:
        return self._connection.execute(statement, parameters).first() is not None
