"""What a service function is given: the call, and the world that it acts on."""

import functools
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple, ParamSpec, TypeVar

import msgspec

from hsmstore.domain.attestation import Attestation, Attested
from hsmstore.domain.checkpoints import Checkpoint
from hsmstore.domain.clock import ClockSetting
from hsmstore.domain.errors import Conflict
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.key import KmsKey
from hsmstore.domain.lease import LEASE, NONE, UNENDING
from hsmstore.domain.policy.usage import Usage
from hsmstore.domain.ports import (
    Certificates,
    Clock,
    Entropy,
    Hsm,
    HsmConnection,
    Registry,
    Sealer,
)
from hsmstore.domain.principal import NOBODY, Caller
from hsmstore.domain.profile import Profile
from hsmstore.domain.quotas import Quotas
from hsmstore.domain.trail import UNRECORDED, Recording, Trail
from hsmstore.service.faultplan import FaultPlan

P = ParamSpec("P")
R = TypeVar("R")

ATTEMPTS: Final = 10


class Call(msgspec.Struct, frozen=True):
    """Where and who calls, the id under which it is logged, and the keys that it names, by that name.

    `attested` is what its Recipient attests, where that has been looked at already; `source` is the
    address that it comes from. Whoever commits what the call changes hands the transaction to its
    `recording`.
    """

    # Not gc=False: a recording keeps its error, whose traceback leads back to the call.

    scope: Scope
    request_id: str
    caller: Caller = NOBODY
    keys: Mapping[str, KmsKey] = MappingProxyType({})
    recording: Recording = UNRECORDED
    attested: Attested | None = None
    source: str = ""
    user_agent: bytes = b""


class Gate:
    """The live connections of this process: the registry's CONNECTED, ready to draw from.

    The registry is the truth and this is a cache of it, opened after the row says CONNECTED and shut before
    it says anything else. `find` is the hot path and takes no lock.
    """

    def __init__(self) -> None:
        self._connections: dict[tuple[Scope, str], HsmConnection] = {}
        self.find = self._connections.get
        self.count = self._connections.__len__

    def open(self, scope: Scope, key_store_id: str, connection: HsmConnection) -> None:
        """Let draws through to `connection`."""
        self._connections[scope, key_store_id] = connection

    def shut(self, scope: Scope, key_store_id: str) -> None:
        """Let no draw through any more; when this returns, none is under way."""
        connection = self._connections.pop((scope, key_store_id), None)
        if connection is not None:
            connection.close()

    def drop(self, scope: Scope, key_store_id: str, connection: HsmConnection) -> None:
        """Close a connection that broke, and forget it unless another has taken its place."""
        if self._connections.get((scope, key_store_id)) is connection:
            del self._connections[scope, key_store_id]
        connection.close()

    def shut_all(self) -> None:
        """Shut every connection, as the process ends."""
        for scope, key_store_id in self.open_stores():
            self.shut(scope, key_store_id)

    def open_stores(self) -> list[tuple[Scope, str]]:
        """Return which stores draws are let through to."""
        return list(self._connections)


class Watch(NamedTuple):
    """What a live connection stands on: its store's cluster, in the version that its row had before."""

    scope: Scope
    cluster_id: str
    version: int | None


class Replica:
    """This process among those that share its registry: its lease, and the stores that it may draw from.

    A process that shares with nobody (`shared` is False) has a lease without end. `seconds` is how long a
    lease is taken for, `monotonic` the clock by which it is kept; `place` is what no two processes have at a
    time, and empty where there is no such thing.
    """

    def __init__(
        self, monotonic: Callable[[], float], *, shared: bool, seconds: float = LEASE, place: str = ""
    ) -> None:
        self.monotonic = monotonic
        self.place = place
        self.shared = shared
        self.seconds = seconds
        self.lease = NONE if shared else UNENDING
        self.refused_at = float("-inf")
        self.watched: dict[str, Watch] = {}
        self.clock_setting: ClockSetting | None = None

    @property
    def is_lapsed(self) -> bool:
        """Whether no byte may be given, since the lease is over."""
        return self.monotonic() >= self.lease.ends


class Turns:
    """A lock for each key store: in this process one thread at a time opens or shuts its connection."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()

    def of(self, key_store_id: str) -> threading.Lock:
        """Return the store's lock; it lives for as long as somebody holds it or waits for it."""
        with self._guard:
            return self._locks.setdefault(key_store_id, threading.Lock())


@dataclass(slots=True, kw_only=True)
class Terms:
    """What may change while the process runs: at SIGHUP the settings are read again."""

    profile: Profile
    key_store_quota: int
    quotas: Quotas | None = None
    has_tls: bool = False  # of a process, it does not change


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything outside the services, behind ports, and what this process knows of it.

    `checkpoint` is told each instant at which a kill would hurt most; in life it does nothing.
    Without a `trail` no call is recorded.
    """

    clock: Clock
    entropy: Entropy
    sealer: Sealer
    certificates: Certificates
    attestation: Attestation
    registry: Registry
    hsm: Hsm
    home: Scope
    terms: Terms
    faults: FaultPlan
    replica: Replica
    checkpoint: Callable[[Checkpoint], None]
    trail: Trail | None = None
    gate: Gate = field(default_factory=Gate)
    turns: Turns = field(default_factory=Turns)
    usage: Usage = field(default_factory=Usage)


def starting_again(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` again, from what is true now, when somebody else changed the row it acted on."""

    @functools.wraps(function)
    def persistent(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(ATTEMPTS - 1):
            try:
                return function(*args, **kwargs)
            except Conflict:
                continue
        return function(*args, **kwargs)

    return persistent
