"""The Unit's part about the trail: records that were committed and are not in a file yet."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, delete, insert, select

from hsmstore.domain.trail import Written
from hsmstore.storage.models import trail_records

_record = trail_records.c

_RECORDS: Final = select(trail_records).where(_record.origin == bindparam("origin")).order_by(_record.number)
_REMOVE: Final = delete(trail_records).where(
    _record.origin == bindparam("origin"), _record.event_id.in_(bindparam("ids", expanding=True))
)


class SqlTrailUnit:
    """What the trail needs of one open transaction."""

    _connection: Connection

    def add_record(self, origin: str, event_id: str, record: bytes) -> None:
        """Write a record down together with what else the transaction changes."""
        self._connection.execute(
            insert(trail_records), {"origin": origin, "event_id": event_id, "record": record}
        )

    def records(self, origin: str) -> list[Written]:
        """Return the records that are written down, in order."""
        rows = self._connection.execute(_RECORDS, {"origin": origin})
        return [Written(row.number, row.event_id, row.record) for row in rows]

    def remove_records(self, origin: str, event_ids: Iterable[str]) -> None:
        """Delete those of the records that are there."""
        self._connection.execute(_REMOVE, {"origin": origin, "ids": list(event_ids)})
