"""What a scenario has made so far, by the names that it gives."""

from collections.abc import Callable
from contextlib import suppress

from hsmstore.cli.client import Answer, Refused, Simulator, Unreachable
from hsmstore.cli.waiting import Unsettled, settled
from hsmstore.simulator import Cluster

PATIENCE = 30.0
"""Seconds to wait for a key store to disconnect before it is left behind."""


class Stage:
    """A simulator, and the clusters, key stores, backups and faults that a scenario made on it."""

    def __init__(self, simulator: Simulator) -> None:
        """Take the simulator, and remember how its clock runs."""
        self.simulator = simulator
        self.clusters: dict[str, Cluster] = {}
        self.stores: dict[str, str] = {}
        self.backups: dict[str, str] = {}
        self.faults: dict[str, str] = {}
        self._made: list[tuple[str, Callable[[], object]]] = []
        self._rate: float = simulator.clock.show()["Rate"]

    def hsm(self, cluster: str, number: int) -> str:
        """Return the id of a cluster's HSM, counted from 1."""
        return str(self._part(cluster, "Hsms", number)["HsmId"])

    def subnet(self, cluster: str, number: int) -> str:
        """Return the id of a cluster's subnet, counted from 1."""
        return str(self._part(cluster, "Subnets", number)["SubnetId"])

    def _part(self, cluster: str, member: str, number: int) -> Answer:
        parts: list[Answer] = self.clusters[cluster].describe()[member]
        if number > len(parts):
            raise Unsettled(f"cluster {cluster} has {len(parts)} {member}, and no {number}.")
        return parts[number - 1]

    def made_cluster(self, name: str, cluster: Cluster) -> str:
        """Remember a cluster, to be deleted; return its id."""
        self.clusters[name] = cluster
        self._made.append((cluster.id, cluster.delete))
        return cluster.id

    def made_store(self, name: str, key_store_id: str) -> str:
        """Remember a key store likewise."""
        self.stores[name] = key_store_id
        self._made.append((key_store_id, lambda: self._delete_store(key_store_id)))
        return key_store_id

    def made_backup(self, name: str, backup_id: str) -> str:
        """Remember a backup likewise."""
        self.backups[name] = backup_id
        self._made.append((backup_id, lambda: self.simulator.delete_backup(backup_id)))
        return backup_id

    def made_fault(self, name: str | None, fault: Answer) -> str:
        """Remember a fault likewise."""
        fault_id = str(fault["FaultId"])
        if name is not None:
            self.faults[name] = fault_id
        self._made.append((fault_id, lambda: self.simulator.faults.remove(fault_id)))
        seeded = f", seed {fault['Seed']}" if "Probability" in fault else ""
        return f"{fault_id}{seeded}"

    def clean_up(self) -> list[str]:
        """Delete what was made, the last first, and let the clock run as before; return what is left.

        What the scenario has deleted itself is refused, and that is as well.
        """
        self.simulator.clock.scale(self._rate)
        left: list[str] = []
        made = self._made[::-1]
        for made_id, delete in sorted(made, key=lambda thing: not thing[0].startswith("fault-")):
            try:
                with suppress(Refused):
                    delete()
            except (Unsettled, Unreachable):
                left.append(made_id)
        return left

    def _delete_store(self, key_store_id: str) -> None:
        if self.simulator.key_store(key_store_id)["ConnectionState"] != "DISCONNECTED":
            with suppress(Refused):  # it is disconnecting already
                self.simulator.disconnect(key_store_id)
            settled(self.simulator, key_store_id, timeout=PATIENCE, tell=lambda *_: None)
        self.simulator.kms("DeleteCustomKeyStore", CustomKeyStoreId=key_store_id)
