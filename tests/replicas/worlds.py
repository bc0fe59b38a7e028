"""Replicas as worlds of this process, whose steps a test takes one by one: nothing happens by itself."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier

from hsmstore.bootstrap.parts import open_world
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore
from hsmstore.domain.lease import MARGIN
from hsmstore.domain.ports import HsmConnection
from hsmstore.domain.profile import Profile
from hsmstore.service import clusters, connect, keystores, kmsuser, lifecycle
from hsmstore.service.login import password_identity
from hsmstore.service.random import GenerateRandomRequest, generate_random
from hsmstore.service.shapes import KeyStoreRequest
from hsmstore.service.world import Call, World
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import monotonic
from tests.postgres import Postgres
from tests.served import ServedHsm

LEASE: Final = 60  # seconds, so that none lapses before its test lets it
PASSWORD: Final = "kmsuser1password"
LENGTH: Final = 16

_SKEWED: Final = (
    "CREATE SCHEMA skewed",
    "CREATE TABLE skewed.clock (ahead double precision)",
    """CREATE FUNCTION skewed.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
       'SELECT pg_catalog.clock_timestamp() + ahead * interval ''1 s'' FROM skewed.clock'""",
)


class Skewed:
    """A monotonic clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        """Return the machine's, and what the test has added."""
        return monotonic() + self.ahead


class Replica:
    """One replica, with the clock that it keeps its lease by."""

    def __init__(self, world: World, clock: Skewed) -> None:
        self.world = world
        self.clock = clock
        self.call = Call(world.home, "test")

    def draw(self, key_store_id: str) -> bytes:
        """Draw from the store."""
        request = GenerateRandomRequest(number_of_bytes=LENGTH, custom_key_store_id=key_store_id)
        octets = generate_random(request, self.call, self.world).plaintext
        assert octets is not None
        assert len(octets) == LENGTH
        return octets

    def connect(self, key_store_id: str) -> None:
        """Connect the store, which is CONNECTED when this returns unless another replica completes it."""
        request = KeyStoreRequest(custom_key_store_id=key_store_id)
        connect.connect_custom_key_store(request, self.call, self.world)

    def disconnect(self, key_store_id: str) -> None:
        """Disconnect the store, which is DISCONNECTED when this returns unless another replica holds it."""
        request = KeyStoreRequest(custom_key_store_id=key_store_id)
        connect.disconnect_custom_key_store(request, self.call, self.world)

    def store(self, key_store_id: str) -> KeyStore:
        """Return the store as the registry has it, nothing settled."""
        with self.world.registry.reading() as unit:
            store = unit.key_store(self.world.home, key_store_id)
        assert store is not None
        return store

    def look_at(self, key_store_id: str) -> ConnectionState:
        """Return the state as Describe tells it: what is due settled."""
        return lifecycle.find(self.world, self.world.home, key_store_id).state

    def connection(self, key_store_id: str) -> HsmConnection | None:
        """Return the live connection that the gate has to the store."""
        return self.world.gate.find((self.world.home, key_store_id))


class Estate:
    """A registry, its replicas, and a key store on a served token."""

    def __init__(self, directory: Path, postgres: Postgres, token: ServedHsm, ending: ExitStack) -> None:
        self._directory = directory
        self._postgres = postgres
        self._token = token
        self._ending = ending
        self._count = 0
        self.cluster_id = ""
        self.url = postgres.new_database()
        ending.callback(postgres.drop_database, self.url)

    def replica(self, master_key: str = "master.key") -> Replica:
        """Bring a replica."""
        self._count += 1
        own = self._directory / f"replica {self._count}"
        own.mkdir(mode=0o700)
        settings = Settings(
            data_dir=own,
            database_url=self.url,
            master_key=self._directory / master_key,
            profile=Profile.INSTANT,
        )
        world = self._ending.enter_context(open_world(settings))
        clock = Skewed()
        world.replica.monotonic = clock
        world.replica.seconds = LEASE
        world.hsm._monotonic = clock  # type: ignore[attr-defined]  # noqa: SLF001  # the room's own clock
        return Replica(world, clock)

    def connected_store(self, replica: Replica) -> str:
        """Make a cluster on the token and a store on it, connect it, return the store's id."""
        world, call = replica.world, replica.call
        cluster = clusters.create_cluster(
            clusters.CreateClusterRequest(
                pkcs11_profile="p11-kit",
                pkcs11_address=self._token.address,
                token_label=self._token.label,
                crypto_officer_pin=self._token.officer_pin,
            ),
            call,
            world,
        )
        password = kmsuser.KmsuserRequest(cluster_id=cluster.cloud_hsm_cluster_id, password=PASSWORD)
        kmsuser.set_kmsuser_password(password, call, world)
        self.cluster_id = cluster.cloud_hsm_cluster_id
        key_store_id = keystores.create_custom_key_store(
            keystores.CreateCustomKeyStoreRequest(
                custom_key_store_name="store",
                cloud_hsm_cluster_id=cluster.cloud_hsm_cluster_id,
                trust_anchor_certificate=cluster.trust_anchor_certificate,
                key_store_password=PASSWORD,
            ),
            call,
            world,
        ).custom_key_store_id
        replica.connect(key_store_id)
        assert replica.store(key_store_id).state is ConnectionState.CONNECTED
        return key_store_id

    def outdate(self, lease_id: str) -> None:
        """Let the database's clock have passed a lease's end and the margin."""
        self._postgres.execute(
            "UPDATE replicas SET lease_until = lease_until - %s WHERE id = %s",
            LEASE + MARGIN + 1,
            lease_id,
            url=self.url,
        )

    def lock_out(self) -> None:
        """Let nobody connect to the registry any more, and end the connections that there are."""
        name = self.url.rpartition("/")[2]
        self._postgres.execute("UPDATE pg_database SET datallowconn = false WHERE datname = %s", name)
        self._postgres.cut(self.url)

    def holders(self) -> set[str]:
        """Return which leases hold a store."""
        return {row[0] for row in self._postgres.execute("SELECT replica_id FROM holds", url=self.url)}

    def lose_holds(self) -> None:
        """Take it out of the registry that anybody holds a store."""
        self._postgres.execute("DELETE FROM holds", url=self.url)

    def leases(self) -> set[str]:
        """Return the leases that nobody has judged lapsed."""
        return {row[0] for row in self._postgres.execute("SELECT id FROM replicas", url=self.url)}

    def write_ahead(self, replica: Replica, key_store_id: str, password: str) -> KeyStore:
        """Leave a rotation where a replica stands still that has written the new password and not set it."""
        store, world = replica.store(key_store_id), replica.world
        assert isinstance(store.backing, CloudHsmBacking)
        sealed = world.sealer.seal(password.encode(), password_identity(key_store_id))
        with world.registry.writing() as unit:
            ahead = replace(store.backing, pending_password=sealed)
            return unit.replace_key_store(store, replace(store, backing=ahead))

    def password(self, replica: Replica, key_store_id: str) -> str:
        """Return kmsuser's password as the registry has it."""
        backing = replica.store(key_store_id).backing
        assert isinstance(backing, CloudHsmBacking)
        assert backing.pending_password is None
        return replica.world.sealer.unseal(backing.password, password_identity(key_store_id)).decode()

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Let nobody connect to the database for as long as the context lasts."""
        name = self.url.rpartition("/")[2]
        rule = "UPDATE pg_database SET datallowconn = %s WHERE datname = %s"
        self._postgres.execute(rule, False, name)  # a parameter of the statement
        self._postgres.cut(self.url)
        try:
            yield
        finally:
            self._postgres.execute(rule, True, name)  # likewise

    @contextmanager
    def database_clock(self, *, ahead: float) -> Iterator[None]:
        """Let the database's clock go so many seconds ahead for as long as the context lasts.

        PostgreSQL finds a function in `skewed` before its own; a connection reads the setting at its start.
        """
        for statement in _SKEWED:
            self._postgres.execute(statement, url=self.url)
        self._postgres.execute("INSERT INTO skewed.clock VALUES (%s)", ahead, url=self.url)
        self._alter(SQL("ALTER DATABASE {} SET search_path = skewed, pg_catalog, public"))
        try:
            yield
        finally:
            self._alter(SQL("ALTER DATABASE {} RESET search_path"))
            self._postgres.execute("DROP SCHEMA skewed CASCADE", url=self.url)

    def _alter(self, statement: SQL) -> None:
        """Alter the database, for every connection from now on."""
        named = statement.format(Identifier(self.url.rpartition("/")[2]))
        with psycopg.connect(self._postgres.url().replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(named)
        self._postgres.cut(self.url)
