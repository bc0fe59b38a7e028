"""What there is to turn on a simulator: its clock, its fault plan, its clusters."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypedDict, Unpack

from hsmstore.simulator.doors import Answer, Doors


class When(TypedDict, total=False):
    """Which occasions a fault strikes, and for how long."""

    seconds: float | None
    store: str | None
    cluster: str | None
    times: int | None
    every: int | None
    probability: float | None
    seed: int | None
    until: float | None


MEMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {"store": "CustomKeyStoreId", "cluster": "ClusterId"}
    | {name: name.capitalize() for name in ("seconds", "times", "every", "probability", "seed", "until")}
)


class Clock:
    """The clock of the simulation. Each method returns what it shows: `Now`, `Real` and `Rate`."""

    def __init__(self, doors: Doors) -> None:
        """Take the simulator whose clock it is."""
        self._doors = doors

    def show(self) -> Answer:
        """Show the clock."""
        return self._doors.manage("GET", "clock")

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> Answer:
        """Set it forward by their sum; whatever is due then has happened when this returns."""
        whole = seconds + 60 * (minutes + 60 * (hours + 24 * days))
        return self._doors.manage("POST", "clock", "advance", Seconds=whole)

    def scale(self, rate: float) -> Answer:
        """Let it run `rate` seconds a second."""
        return self._doors.manage("PUT", "clock", "rate", Rate=rate)

    def freeze(self) -> Answer:
        """Stop it."""
        return self.scale(0)

    def run(self) -> Answer:
        """Let it run as in life."""
        return self.scale(1)


class Faults:
    """The fault plan: which calls and phases fail, how, how often, until when."""

    def __init__(self, doors: Doors) -> None:
        """Take the simulator whose plan it is."""
        self._doors = doors

    def add(self, point: str, effect: str, error: str | None = None, **when: Unpack[When]) -> Answer:
        """Add a fault at the end of the plan; return it, with its `FaultId` and `Seed`.

        `point` is `connect`, `disconnect`, `draw` or an operation such as `CreateCustomKeyStore`. `effect` is
        `connection-error` or `exception` (with `error`), `latency` or `timeout` (with `seconds`), `drop` or
        `hang`. `until` is in seconds since the epoch, by the simulation's clock.
        """
        members = {MEMBERS[name]: value for name, value in when.items()}
        return self._doors.manage("POST", "faults", Point=point, Effect=effect, Error=error, **members)

    def remove(self, fault_id: str) -> None:
        """Take a fault out of the plan; what it holds up goes on."""
        self._doors.manage("DELETE", "faults", fault_id)

    def clear(self) -> None:
        """Empty the plan."""
        self._doors.manage("DELETE", "faults")

    def list(self) -> "list[Answer]":
        """Return the plan, in the order in which faults are tried."""
        return self._doors.member(self._doors.manage("GET", "faults"), "Faults", list)


class Cluster:
    """A handle on a cluster, by its id. What does not say otherwise returns the cluster's description."""

    def __init__(self, doors: Doors, cluster_id: str) -> None:
        """Take the simulator that has the cluster."""
        self.id = cluster_id
        self._doors = doors

    def describe(self) -> Answer:
        """Return the cluster as it is now."""
        return self._do("GET")

    def delete(self) -> None:
        """Delete the cluster with its token."""
        self._do("DELETE")

    def back_up(self) -> str:
        """Back the cluster up; return the backup's id."""
        return self._doors.member(self._do("POST", "backups"), "BackupId", str)

    def keys(self) -> list[Answer]:
        """Return the keys on the token, each with its `Label` and mostly a `KeyId`."""
        return self._doors.member(self._do("GET", "keys"), "Keys", list)

    def delete_key(self, key_id: str) -> None:
        """Delete a key's material from the token, which KMS does not learn of."""
        self._do("DELETE", "keys", key_id)

    def add_hsm(self) -> Answer:
        """Add an HSM."""
        return self._do("POST", "hsms")

    def remove_hsm(self, hsm_id: str) -> Answer:
        """Delete an HSM."""
        return self._do("DELETE", "hsms", hsm_id)

    def stop_hsm(self, hsm_id: str) -> Answer:
        """Let an HSM answer no more."""
        return self._do("POST", "hsms", hsm_id, "stop")

    def start_hsm(self, hsm_id: str) -> Answer:
        """Let a stopped HSM answer again."""
        return self._do("POST", "hsms", hsm_id, "start")

    def cut_network(self) -> Answer:
        """Cut the network between KMS and the cluster."""
        return self._do("PUT", "network", Reachable=False)

    def restore_network(self) -> Answer:
        """Restore the network."""
        return self._do("PUT", "network", Reachable=True)

    def set_subnet(
        self, subnet_id: str, *, free_addresses: int | None = None, exists: bool | None = None
    ) -> Answer:
        """Say how many addresses a subnet has left, or that it has been deleted or brought back."""
        return self._do("PUT", "subnets", subnet_id, FreeAddresses=free_addresses, Exists=exists)

    def create_kmsuser(self, password: str, *, hsm: str | None = None) -> Answer:
        """Make kmsuser, on every HSM or on one."""
        return self._do("POST", "kmsuser", Password=password, HsmId=hsm)

    def set_kmsuser_password(self, password: str, *, hsm: str | None = None) -> Answer:
        """Set kmsuser's password as the crypto officer, behind KMS's back; it lifts a lock-out, too."""
        return self._do("PUT", "kmsuser", Password=password, HsmId=hsm)

    def delete_kmsuser(self, *, hsm: str | None = None) -> Answer:
        """Delete kmsuser, from every HSM or from one."""
        return self._do("DELETE", "kmsuser", HsmId=hsm)

    def log_in_kmsuser(self) -> Answer:
        """Log kmsuser in from another process, so that KMS cannot."""
        return self._do("POST", "kmsuser", "session")

    def log_out_kmsuser(self) -> Answer:
        """End that session."""
        return self._do("DELETE", "kmsuser", "session")

    def _do(self, method: str, *path: str, **members: object) -> Answer:
        return self._doors.manage(method, "clusters", self.id, *path, **members)
