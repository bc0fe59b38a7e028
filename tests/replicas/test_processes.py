"""Three replicas, two HSMs, one PostgreSQL: killed, restarted, moved to and fro, and no byte out of turn.

The default form is a sample; `--endurance` makes it a million draws.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from hsmstore.system.clock import monotonic
from tests.load.history import REPLICAS, judge
from tests.postgres import Postgres
from tests.replicas.crowd import Drawer, Mover
from tests.served import served
from tests.server import PASSWORD, Server
from tests.wire.failing import Played

log = logging.getLogger(__name__)

pytestmark = pytest.mark.postgresql

STORES: Final = 2
COUNT: Final = 3
DRAWERS: Final = 4
LEASE: Final = 2  # seconds
LONG: Final = 60  # seconds: a lease that no test waits for
PATIENCE: Final = 120.0  # seconds
SETTLED: Final = {"CONNECTED", "DISCONNECTED", "FAILED"}


class Town:
    """Replicas over one registry, and the stores that they serve."""

    def __init__(
        self,
        directory: Path,
        postgres: Postgres,
        stack: ExitStack,
        *,
        lease: int = LEASE,
        count: int = COUNT,
        stores: int = STORES,
    ) -> None:
        self.postgres = postgres
        self.url = postgres.new_database()
        options = ["--database-url", self.url, "--master-key", str(directory / "master.key")]
        options += ["--lease", str(lease), "--profile", "instant"]
        self.replicas = [Server(directory / f"replica-{number}", *options) for number in range(count)]
        password = directory / "password"
        password.write_text(PASSWORD)
        for replica in self.replicas:
            replica.start()
            stack.callback(replica.stop)
        self.stores = []
        for number in range(stores):
            given = ("--kmsuser-password-file", str(password))
            hsm = stack.enter_context(served(directory / f"hsm-{number}", *given))
            played = Played(self.replicas[0], f"store {number}", **hsm.members)
            played.works()
            self.stores.append(played.store)

    @property
    def ports(self) -> list[int]:
        """Where the replicas listen."""
        return [replica.port for replica in self.replicas]

    def harm(self, turn: int) -> None:
        """Kill a replica and start it again, or have the database stop, or crash, and come back."""
        match turn % 4:
            case 0 | 2:
                replica = self.replicas[turn // 2 % COUNT]
                replica.kill()
                replica.start()
            case 1:
                self.postgres.restart()
            case _:
                self.postgres.crash()

    def states(self, store: str) -> set[str]:
        """Return what the replicas say of the store."""
        return {state_at(replica, store) for replica in self.replicas}

    def leases(self) -> set[str]:
        """Return the leases that nobody has given back or judged lapsed."""
        return {row[0] for row in self.postgres.execute("SELECT id FROM replicas", url=self.url)}


def state_at(replica: Server, store: str) -> str:
    (entry,) = replica.kms().describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    return str(entry["ConnectionState"])


@pytest.fixture
def town(tmp_path: Path, mortal_postgres: Postgres) -> Iterator[Town]:
    """Give replicas with connected stores, over a database of the test's own."""
    with ExitStack() as stack:
        yield Town(tmp_path, mortal_postgres, stack)


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait until it holds."""
    end = monotonic() + PATIENCE
    while not condition():
        if monotonic() > end:
            return False
        threading.Event().wait(0.02)
    return True


def drawn(drawers: list[Drawer]) -> int:
    """Return how many draws have given bytes."""
    assert [drawer.failure for drawer in drawers if drawer.failure] == []
    return sum(len(drawer.draws.octets) // 32 for drawer in drawers)


def draw_until(drawers: list[Drawer], goal: int) -> None:
    """Wait until so many draws have given bytes, for as long as there are more and more of them."""
    while (before := drawn(drawers)) < goal:
        assert comes_true(lambda before=before: drawn(drawers) > before), before  # type: ignore[misc]  # bound now


def test_every_replica_serves_every_store(town: Town) -> None:
    """What one replica connects the others draw from; what one disconnects none does, once that is seen."""
    store = town.stores[0]
    for replica in town.replicas:
        assert replica.kms().generate_random(NumberOfBytes=32, CustomKeyStoreId=store)["Plaintext"]
    town.replicas[1].kms().disconnect_custom_key_store(CustomKeyStoreId=store)
    assert comes_true(lambda: town.states(store) == {"DISCONNECTED"})
    for replica in town.replicas:
        answer = replica.call("GenerateRandom", {"NumberOfBytes": 32, "CustomKeyStoreId": store})
        assert b"CustomKeyStoreInvalidStateException" in answer.body
    town.replicas[2].kms().connect_custom_key_store(CustomKeyStoreId=store)
    assert comes_true(lambda: town.states(store) == {"CONNECTED"})
    for replica in town.replicas:
        assert replica.kms().generate_random(NumberOfBytes=32, CustomKeyStoreId=store)["Plaintext"]


def test_who_ends_is_not_waited_for(tmp_path: Path, postgres: Postgres) -> None:
    """SIGTERM gives lease and holds back; a killed replica's stay until it is started again in its place."""
    with ExitStack() as stack:
        town = Town(tmp_path, postgres, stack, lease=LONG, count=2, stores=1)
        (store,), (one, other) = town.stores, town.replicas
        members = {"NumberOfBytes": 32, "CustomKeyStoreId": store}
        assert other.call("GenerateRandom", members).status == 200
        assert len(town.leases()) == 2
        assert other.stop() == 0
        (own,) = town.leases()
        assert one.call("DisconnectCustomKeyStore", {"CustomKeyStoreId": store}).status == 200
        assert state_at(one, store) == "DISCONNECTED"

        other.start()
        assert one.call("ConnectCustomKeyStore", {"CustomKeyStoreId": store}).status == 200
        assert other.call("GenerateRandom", members).status == 200
        (left,) = town.leases() - {own}
        other.kill()
        assert one.call("DisconnectCustomKeyStore", {"CustomKeyStoreId": store}).status == 200
        assert state_at(one, store) == "DISCONNECTING"
        other.start()
        assert left not in town.leases()
        assert state_at(one, store) == "DISCONNECTED"


@pytest.mark.endurance
def test_no_byte_out_of_turn(town: Town, *, endurance: bool) -> None:
    """Stores move, replicas are killed, the database restarts: none draws from what is seen DISCONNECTED."""
    wanted, harms = (1_000_000, 100) if endurance else (3_000, 4)
    drawers = [Drawer(town.ports, town.stores, seed) for seed in range(DRAWERS)]
    movers = [Mover(town.ports, town.stores, number, monotonic) for number in range(STORES)]
    for client in [*drawers, *movers]:
        client.start()
    try:
        for turn in range(harms):
            log.info("turn %d of %d: %d draws", turn, harms, drawn(drawers))
            draw_until(drawers, drawn(drawers) + wanted // (harms + 1))
            town.harm(turn)
        draw_until(drawers, wanted)
    finally:
        for client in [*drawers, *movers]:
            client.stop()
    assert [client.failure for client in [*drawers, *movers] if client.failure] == []
    verdict = judge(
        (draw for drawer in drawers for draw in drawer.draws),
        [move for mover in movers for move in mover.moves],
        [look for mover in movers for look in mover.looks],
        REPLICAS,
    )
    log.info("%s", verdict._replace(violations=[]))
    assert verdict.violations[:10] == []
    assert verdict.draws_while_shut > 0
    assert verdict.draws_while_open > 0
    for number, store in enumerate(town.stores):
        require_where_its_last_move_puts_it(town, store, movers[number])


def require_where_its_last_move_puts_it(town: Town, store: str, mover: Mover) -> None:
    """See that all replicas agree in the end, and with the last move if that was answered."""
    assert comes_true(lambda: len(town.states(store)) == 1 and town.states(store) <= SETTLED), town.states(
        store
    )
    (state,) = town.states(store)
    last = [move for move in mover.moves if move.granted][-1]
    if last.answered < float("inf"):
        assert (state != "DISCONNECTED") == last.connects, (state, last)
    for replica in town.replicas:
        answer = replica.call("GenerateRandom", {"NumberOfBytes": 32, "CustomKeyStoreId": store})
        assert (answer.status == 200) == (state == "CONNECTED"), answer
