"""The client: one method for whatever is done often."""

import base64
from typing import Final

from hsmstore.simulator.doors import Answer, Doors
from hsmstore.simulator.facets import Clock, Cluster, Faults

PHASES: Final = ("connect", "disconnect")


class Controls(Doors):
    """What can be done to a simulator, wherever it runs."""

    @property
    def clock(self) -> Clock:
        """The simulation's clock."""
        return Clock(self)

    @property
    def faults(self) -> Faults:
        """The fault plan."""
        return Faults(self)

    def clusters(self) -> list[Answer]:
        """Return the clusters of the account and Region, oldest first."""
        return self.member(self.manage("GET", "clusters", **self.scope), "Clusters", list)

    def create_cluster(self, *, kmsuser_password: str | None = None, hsms: int | None = None) -> Cluster:
        """Make a cluster of two HSMs, or as many as are asked for; without a password, without kmsuser."""
        members = {"KmsuserPassword": kmsuser_password, "HsmCount": hsms, **self.scope}
        return self._new_cluster(self.manage("POST", "clusters", **members))

    def backups(self) -> list[Answer]:
        """Return all backups of clusters, oldest first."""
        return self.member(self.manage("GET", "backups"), "Backups", list)

    def restore(self, backup_id: str, *, hsms: int | None = None) -> Cluster:
        """Make a cluster from a backup; it shares the certificate, keys, users and passwords."""
        return self._new_cluster(self.manage("POST", "backups", backup_id, "restore", HsmCount=hsms))

    def delete_backup(self, backup_id: str) -> None:
        """Delete a backup."""
        self.manage("DELETE", "backups", backup_id)

    def key_stores(self) -> list[Answer]:
        """Return the entries of every page of DescribeCustomKeyStores."""
        entries: list[Answer] = []
        marker: str | None = None
        while True:
            page = self.kms("DescribeCustomKeyStores", Marker=marker)
            entries += self.member(page, "CustomKeyStores", list)
            marker = page.get("NextMarker")
            if marker is None:
                return entries

    def key_store(self, key_store_id: str) -> Answer:
        """Return the key store's entry in DescribeCustomKeyStores."""
        answer = self.kms("DescribeCustomKeyStores", CustomKeyStoreId=key_store_id)
        entries = self.member(answer, "CustomKeyStores", list)
        if len(entries) != 1 or not isinstance(entries[0], dict):
            raise self.stranger(f"{len(entries)} entries for one key store")
        return entries[0]

    def create_key_store(self, name: str, cluster: Cluster, *, password: str) -> str:
        """Make a key store over a cluster, whose certificate is asked for; return its id."""
        answer = self.kms(
            "CreateCustomKeyStore",
            CustomKeyStoreName=name,
            CloudHsmClusterId=cluster.id,
            KeyStorePassword=password,
            TrustAnchorCertificate=cluster.describe()["TrustAnchorCertificate"],
        )
        return self.member(answer, "CustomKeyStoreId", str)

    def connect(self, key_store_id: str) -> None:
        """Begin to connect; `key_store` and `explain` tell what comes of it."""
        self.kms("ConnectCustomKeyStore", CustomKeyStoreId=key_store_id)

    def disconnect(self, key_store_id: str) -> None:
        """Begin to disconnect; from now on no byte is given."""
        self.kms("DisconnectCustomKeyStore", CustomKeyStoreId=key_store_id)

    def random(self, count: int, key_store_id: str | None = None) -> bytes:
        """Return `count` (1 to 1024) bytes of one GenerateRandom: of the key store's HSM, or the system's."""
        answer = self.kms("GenerateRandom", NumberOfBytes=count, CustomKeyStoreId=key_store_id)
        try:
            return base64.b64decode(self.member(answer, "Plaintext", str), validate=True)
        except ValueError as error:
            raise self.stranger("what is no base64") from error

    def explain(self, key_store_id: str) -> Answer:
        """Return why the key store is in its state, since when, what happened, and the commands to type."""
        return self.manage("GET", "key-stores", key_store_id, "explanation", **self.scope)

    def suggest_policy(self, principal: str, account: str | None = None) -> Answer:
        """Return the least identity policy that a principal's calls have needed, and what was denied."""
        members = {} if account is None else {"Account": account}
        return self.manage("GET", "principals", principal, "suggestion", **members)

    def fail_next_connect(self, code: str, store: str | None = None, *, times: int = 1) -> Answer:
        """Let the next connect, or so many, of any store or of one end in FAILED; return the fault.

        `code` is a ConnectionErrorCode, such as `USER_LOCKED_OUT`.
        """
        return self.faults.add("connect", "connection-error", code, store=store, times=times)

    def fail_next(self, operation: str, error: str, store: str | None = None, *, times: int = 1) -> Answer:
        """Let the next call of an operation, or so many, fail with an exception; return the fault.

        `operation` may also be `draw`, which every operation that needs the HSM's random numbers does.
        """
        return self.faults.add(operation, "exception", error, store=store, times=times)

    def hold(self, phase: str, key_store_id: str | None = None) -> Answer:
        """Let `connect` or `disconnect` not end, of this key store or of all; return the fault that does so.

        Nothing is added where such a hold is in force already.
        """
        if phase not in PHASES:
            raise ValueError(f"{phase!r} is not connect or disconnect")
        holds = self.holds(phase, key_store_id)
        return holds[0] if holds else self.faults.add(phase, "hang", store=key_store_id)

    def release(self, phase: str | None = None, key_store_id: str | None = None) -> int:
        """Let go on what `hold` holds: all of it, or that phase, or that key store; return how many holds."""
        holds = [
            fault
            for fault in self.holds(phase)
            if key_store_id is None or fault.get("CustomKeyStoreId") == key_store_id
        ]
        for fault in holds:
            self.faults.remove(fault["FaultId"])
        return len(holds)

    def holds(self, phase: str | None = None, key_store_id: str | None = None) -> list[Answer]:
        """Return the faults by which `hold` holds these phases; with a key store, of that one alone."""
        return [
            fault
            for fault in self.faults.list()
            if fault["Effect"] == "hang"
            and fault["Point"] in ({phase} if phase else PHASES)
            and key_store_id in {None, fault.get("CustomKeyStoreId")}
        ]

    def _new_cluster(self, answer: Answer) -> Cluster:
        return Cluster(self, self.member(answer, "CloudHsmClusterId", str))


class Simulator(Controls):
    """A running hsmstore. `kms` and `manage` are its doors, for whatever has no method here."""

    def cluster(self, cluster_id: str) -> Cluster:
        """Return a handle on a cluster; nothing is sent yet."""
        return Cluster(self, cluster_id)
