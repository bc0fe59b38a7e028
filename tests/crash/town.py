"""All clients of a dying server: owners of clusters and stores, a builder of clusters, and who draws."""

import random  # noqa: TID251  # seeded, to vary the life and not to hide anything
import threading
from collections.abc import Sequence
from typing import Any, Final

from tests.crash.client import Client
from tests.crash.owner import Holding, Owner
from tests.crash.records import Records
from tests.crash.scene import Mortal, pause
from tests.server import PASSWORD

OWNERS: Final = 4
DRAWERS: Final = 2
BUILT: Final = 2
BUILDS_EVERY: Final = (0.02, 0.3)  # seconds; a cluster costs an RSA key


class Drawer(Client):
    """Draws from everybody's stores, whatever their state."""

    def __init__(self, holdings: Sequence[Holding], records: Records) -> None:
        super().__init__(records)
        self._holdings = holdings

    def step(self) -> None:
        """Draw once from each store that there may be."""
        for key_store_id in [holding.key_store_id for holding in self._holdings]:
            if key_store_id is not None:
                self.try_to_draw(key_store_id)


class Builder(Client):
    """Creates clusters and deletes them."""

    def __init__(self, records: Records, seed: str) -> None:
        super().__init__(records)
        self._random = random.Random(seed)
        self._built: set[str] = set()
        self._doomed: set[str] = set()
        self._unsure = 0

    def step(self) -> None:
        """Create a cluster, or delete one where there are enough."""
        if len(self._built) < BUILT:
            self._unsure += 1
            cluster = self.manage("POST", "/clusters", KmsuserPassword=PASSWORD).document
            self._unsure -= 1
            self._built.add(cluster["CloudHsmClusterId"])
        else:
            cluster_id = self._random.choice(sorted(self._built))
            self._doomed.add(cluster_id)
            self.manage("DELETE", f"/clusters/{cluster_id}")
            self._built.remove(cluster_id)
        pause(self._random.uniform(*BUILDS_EVERY))

    def take_stock(self, listed: set[str]) -> None:
        """Compare the clusters that there are, the owners' aside, with what may be true."""
        assert self._built - self._doomed <= listed, "a cluster is lost"
        assert len(listed - self._built) <= self._unsure, "a cluster came from nowhere, or came back"
        self._built, self._doomed, self._unsure = listed, set(), 0


class Citizen(threading.Thread):
    """Lets a client act until its server dies; what is wrong before that is raised by `stop`."""

    def __init__(self, client: Client, port: int) -> None:
        super().__init__(name=type(client).__name__)
        client.attach(port)
        self._client = client
        self._stopping = threading.Event()
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Act."""
        try:
            while not self._stopping.is_set():
                self._client.step()
        except OSError:
            pass
        except BaseException as error:  # noqa: BLE001  # stop raises it again
            self._failure = error
        finally:
            self._client.close()

    def stop(self) -> None:
        """Wait for the end, which the server's death brings about."""
        self._stopping.set()
        self.join()
        if self._failure is not None:
            raise self._failure


class Town:
    """Everybody."""

    def __init__(self, server: Mortal, seed: int) -> None:
        """Found the owners' clusters."""
        self.records = Records()
        self.owners = [
            Owner(_holding(server.new_cluster()), self.records, f"{seed} {number}")
            for number in range(OWNERS)
        ]
        holdings = [owner.holding for owner in self.owners]
        self._builder = Builder(self.records, f"{seed} builder")
        self._drawers = [Drawer(holdings, self.records) for _ in range(DRAWERS)]

    def live(self, server: Mortal, seconds: float) -> None:
        """Let everybody act for a while, and kill the server in the middle of it."""
        clients = [*self.owners, *self._drawers, self._builder]
        citizens = [Citizen(client, server.port) for client in clients]
        for citizen in citizens:
            citizen.start()
        pause(seconds)
        server.kill()
        for citizen in citizens:
            citizen.stop()

    def take_stock(self, server: Mortal) -> None:
        """See that what was answered stands, and that nothing is there that nobody asked for."""
        listed = {entry["CustomKeyStoreId"]: entry["CustomKeyStoreName"] for entry in server.entries()}
        for owner in self.owners:
            owner.take_stock(listed)
        assert listed.keys() == {owner.holding.key_store_id for owner in self.owners} - {None}
        clusters = server.manage("GET", "/clusters")[1]["Clusters"]
        mine = {owner.holding.cluster_id for owner in self.owners}
        ids = {cluster["CloudHsmClusterId"] for cluster in clusters}
        assert mine <= ids
        self._builder.take_stock(ids - mine)

    def require_alive(self, server: Mortal) -> None:
        """See that every store comes to rest and works, and that it can be disconnected and connected."""
        for owner in self.owners:
            owner.attach(server.port)
            owner.require_alive()
            owner.require_connectable()
            owner.close()


def _holding(cluster: Any) -> Holding:
    return Holding(cluster["CloudHsmClusterId"], cluster["TrustAnchorCertificate"])
