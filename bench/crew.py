"""Replicas in this process, over a real PostgreSQL: whole, and by the server's own code, but for two things.

None serves HTTP. And none has an HSM: a login succeeds at once, so that what is measured of a first draw, or
of a disconnect, is what the registry has to do with it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from bench.processes import monotonic
from hsmstore.bootstrap.parts import open_world
from hsmstore.bootstrap.threads import keeping
from hsmstore.domain.cluster import Cluster, ClusterState, HsmUnit
from hsmstore.domain.errors import Conflict
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore
from hsmstore.domain.lease import UNENDING, Lease, Leases
from hsmstore.domain.mechanisms import FOR_KEYS
from hsmstore.domain.notices import ANYTHING, Notice, Notices
from hsmstore.domain.ports import Hsm, HsmConnection, Registry, Unit
from hsmstore.domain.profile import Profile
from hsmstore.service import connect, lifecycle
from hsmstore.service.login import password_identity
from hsmstore.service.shapes import KeyStoreRequest
from hsmstore.service.world import Call, World
from hsmstore.settings.fields import Settings
from hsmstore.storage.notices import open_notices


@dataclass
class Tally:
    """What was seen of all replicas; appending to a list needs no lock."""

    leases: list[float] = field(default_factory=list)  # seconds of each renewal and of each sweep
    sent_back: list[float] = field(default_factory=list)  # when a writer was told that another came first


class Watched:
    """The registry of a replica, and what is to be told of it."""

    def __init__(self, registry: Registry, tally: Tally) -> None:
        self.reading, self.writes = registry.reading, registry.writes
        self._registry = registry
        self._tally = tally

    @contextmanager
    def writing(self) -> Iterator[Unit]:
        """Open a unit that may write, and count it where it is sent back."""
        try:
            with self._registry.writing() as unit:
                yield unit
        except Conflict:
            self._tally.sent_back.append(monotonic())
            raise

    @contextmanager
    def renewing(self) -> Iterator[Leases]:
        """Open a transaction on leases, and take its time."""
        begun = monotonic()
        with self._registry.renewing() as leases:
            yield leases
        self._tally.leases.append(monotonic() - begun)


class Ear:
    """The notices of a replica, and when it had heeded each change."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices
        self.heeded: list[float] = []
        self.stop: Final = notices.stop

    def start(self, hear: Callable[[Notice], None]) -> None:
        """Let `hear` heed what is heard."""

        def heed(notice: Notice) -> None:
            hear(notice)
            if notice != ANYTHING:
                self.heeded.append(monotonic())

        self._notices.start(heed)


class Logins:
    """HSMs on which every login succeeds at once."""

    def connect(self, _cluster: Cluster, _password: str, _lease: Lease = UNENDING) -> HsmConnection:
        """Log in."""
        return cast("HsmConnection", Login())

    def close(self) -> None:
        """End nothing."""


class Login:
    """A session that nobody draws from."""

    mechanisms: Final = frozenset(FOR_KEYS)

    def close(self) -> None:
        """End nothing."""


class Replica:
    """A replica that ticks, renews and listens, until its context ends."""

    def __init__(self, world: World, ear: Ear) -> None:
        self.world = world
        self.ear = ear
        self._call = Call(world.home, "bench")
        self._lease_id = world.replica.lease.id

    def draw(self, key_store_id: str) -> None:
        """Do what comes before the first draw from a key store: hold it, log in, open the gate."""
        lifecycle.live_connection(self.world, self.world.home, key_store_id)

    def connect(self, key_store_id: str) -> None:
        """Connect a key store, as a client asks for it."""
        request = KeyStoreRequest(custom_key_store_id=key_store_id)
        connect.connect_custom_key_store(request, self._call, self.world)

    def disconnect(self, key_store_id: str) -> None:
        """Disconnect it, likewise."""
        request = KeyStoreRequest(custom_key_store_id=key_store_id)
        connect.disconnect_custom_key_store(request, self._call, self.world)

    @property
    def has_lapsed(self) -> bool:
        """Whether its first lease was judged lapsed, or has ended by its own clock."""
        return self.world.replica.is_lapsed or self.world.replica.lease.id != self._lease_id


@contextmanager
def replica_running(url: str, home: Path, number: int, tally: Tally) -> Iterator[Replica]:
    """Run a replica over the registry at `url` for as long as the context lasts."""
    settings = Settings(
        data_dir=home / f"replica-{number}",
        database_url=url,
        master_key=home / "master.key",
        profile=Profile.INSTANT,
    )
    settings.data_dir.mkdir()
    ear = Ear(open_notices(url))
    with open_world(settings) as whole:
        world = replace(whole, registry=Watched(whole.registry, tally), hsm=cast("Hsm", Logins()))
        with keeping(world, ear):
            yield Replica(world, ear)


def add_store(world: World, number: int) -> KeyStore:
    """Enter a key store and its cluster in the registry; return the store as it stands there."""
    cluster = Cluster(
        id=f"cluster-{number}",
        scope=world.home,
        created_at=1.0,
        trust_anchor_certificate="PEM",
        state=ClusterState.ACTIVE,
        hsms=(HsmUnit(id=f"hsm-{number}", availability_zone="us-east-1a", has_kmsuser=True),),
        token=None,
        crypto_officer_pin=None,  # so that no connect changes the password
    )
    key_store_id = f"cks-{number:017x}"
    password = world.sealer.seal(b"kmsuser1password", password_identity(key_store_id))
    store = KeyStore(
        id=key_store_id,
        scope=world.home,
        name=f"store {number}",
        created_at=1.0,
        state_since=1.0,
        backing=CloudHsmBacking(cluster_id=cluster.id, trust_anchor_certificate="PEM", password=password),
    )
    with world.registry.writing() as unit:
        unit.add_cluster(cluster)
        unit.add_key_store(store)
    return store
