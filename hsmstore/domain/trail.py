"""The trail: what is recorded of calls, and the ports through which it is.

A record of a change is committed with the change: whoever changes a row hands the transaction to the call's
recording. What the record looks like is the trail's own affair.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from hsmstore.domain.errors import AwsError
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.key import KmsKey
from hsmstore.domain.keystore import KeyStore
from hsmstore.domain.principal import NOBODY, Caller


class Seen(NamedTuple):
    """A call as it began. `at` is in seconds since the epoch, by the simulation's clock.

    Without a `request_id` it is no call, but something that KMS does by itself.
    """

    at: float
    name: str
    read_only: bool
    scope: Scope
    request_id: str | None = None
    members: Any = None
    source: str = ""
    agent: bytes = b""
    caller: Caller = NOBODY


class Written(NamedTuple):
    """A record in the registry that may not be in the trail's files yet."""

    number: int
    event_id: str
    record: bytes


class TrailUnit(Protocol):
    """What the trail needs of a transaction. `origin` names whose records they are, among replicas."""

    def add_record(self, origin: str, event_id: str, record: bytes) -> None:
        """Write a record down together with what else the transaction changes."""

    def records(self, origin: str) -> list[Written]:
        """Return the records that are written down, in order."""

    def remove_records(self, origin: str, event_ids: Iterable[str]) -> None:
        """Delete those of the records that are there."""


class Recording(Protocol):
    """The record of one call, in the making."""

    def about(self, store: KeyStore) -> None:
        """Say which key store the call is about."""

    def found(self, keys: Mapping[str, KmsKey]) -> None:
        """Say which keys the call is about, by the names that it gives them."""

    def add(self, additional: Mapping[str, Any]) -> None:
        """Add to what the record tells besides the request and the answer."""

    def commit(self, unit: TrailUnit, response: object = None) -> None:
        """Write the record down in the transaction that makes the change; the call answers `response`."""

    def end(self, response: object = None, error: AwsError | None = None) -> None:
        """Say how the call ended. Never waits."""


class Trail(Protocol):
    """Where calls are recorded. Safe to share between threads."""

    def begin(self, seen: Seen) -> Recording:
        """Open the record of a call."""

    def drawn(  # noqa: PLR0917  # by name they would cost a draw more
        self,
        at: float,
        request_id: str,
        scope: Scope,
        caller: Caller,
        source: str,
        agent: bytes,
        key_store_id: str | None,
    ) -> None:
        """Record a GenerateRandom that has been served: as `begin` and `end` do, in less time."""

    def latest(self, count: int) -> list[bytes]:
        """Return the last records as JSON, the oldest first: at most `count`, fewer if they are long."""


class Unrecorded:
    """The recording of a call that is not to be recorded, and the trail of a server without one."""

    def begin(self, _seen: Seen) -> "Unrecorded":
        """Record nothing."""
        return self

    def latest(self, _count: int) -> list[bytes]:
        """Return nothing."""
        return []

    def about(self, store: KeyStore) -> None:
        """Take no notice."""

    def found(self, keys: Mapping[str, KmsKey]) -> None:
        """Take no notice."""

    def add(self, additional: Mapping[str, Any]) -> None:
        """Take no notice."""

    def commit(self, unit: TrailUnit, response: object = None) -> None:
        """Write nothing."""

    def end(self, response: object = None, error: AwsError | None = None) -> None:
        """Take no notice."""


UNRECORDED = Unrecorded()
