"""What an example of the state machine starts from: two accounts, and clusters in them.

A cluster costs an RSA key and a token, so an estate is used again: an example leaves its accounts without
key stores, and its clusters with the password that they had. One that could not be cleared is not used again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.load.keepalive import Exchange, KeepAlive, kms_request, management_request
from tests.model.model import Cluster, Model, Store
from tests.server import PASSWORD, Server

CLUSTERS: Final = 2  # in each account


@dataclass
class Estate:
    """Two accounts that nobody else uses, and their clusters."""

    accounts: tuple[str, str]
    clusters: list[Cluster] = field(default_factory=list)


class Site:
    """A server, the connection to it, and the estates that are free to be used."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection = KeepAlive(server.port)
        self._free: list[Estate] = []
        self._made = 0

    def call(self, account: str, operation: str, **members: Any) -> Exchange:
        """Send a KMS request of `account`."""
        return self.connection.exchange(kms_request(operation, members, account))

    def manage(self, method: str, path: str, **members: Any) -> Exchange:
        """Send a request of the management API."""
        return self.connection.exchange(management_request(method, path, members or None))

    def restart(self, end: Callable[[Server], Any]) -> None:
        """End the server, and start it again on what it has left."""
        end(self.server)
        self.connection.close()
        self.server.start()

    def new_cluster(self, account: str, hsms: int = 2, password: str | None = PASSWORD) -> Cluster:
        """Create a cluster; without an HSM it has no kmsuser, whatever the password."""
        secret = {} if password is None else {"KmsuserPassword": password}
        answer = self.manage("POST", "/clusters", AccountId=account, HsmCount=hsms, **secret)
        assert answer.status == 200, answer
        described = answer.document
        assert described["AccountId"] == account
        assert len(described["Hsms"]) == hsms
        return Cluster(
            id=described["CloudHsmClusterId"],
            account=account,
            anchor=described["TrustAnchorCertificate"],
            hsms=hsms,
            password=password if hsms else None,
        )

    def take(self) -> Estate:
        """Return an estate as good as new."""
        if not self._free:
            self._made += 1
            self._free.append(Estate((f"1{self._made:011}", f"2{self._made:011}")))
        estate = self._free.pop()
        left = [cluster for cluster in estate.clusters if cluster.exists]
        for account in estate.accounts:
            missing = CLUSTERS - sum(cluster.account == account for cluster in left)
            left += [self.new_cluster(account) for _ in range(missing)]
        estate.clusters = sorted(left, key=lambda cluster: cluster.account)
        return estate

    def give_back(self, estate: Estate, model: Model, clusters: list[Cluster]) -> None:
        """Clear the estate of the model's stores and of the clusters that came later, to be used again."""
        cleared = all(self._clear(store) for store in model.stores.values())
        for cluster in clusters:
            if cluster.exists and not (cleared and cluster in estate.clusters):
                self.manage("DELETE", f"/clusters/{cluster.id}")
        if not cleared:
            return
        for cluster in estate.clusters:
            if cluster.exists:
                self._reset(cluster)
        self._free.append(estate)

    def _clear(self, store: Store) -> bool:
        """Tell whether the store could be deleted: one that stays DISCONNECTING cannot."""
        if store.state != "DISCONNECTED":
            self.call(store.account, "DisconnectCustomKeyStore", CustomKeyStoreId=store.id)
        return not self.call(store.account, "DeleteCustomKeyStore", CustomKeyStoreId=store.id).code

    def _reset(self, cluster: Cluster) -> None:
        method = "POST" if cluster.password is None else "PUT"
        if cluster.password != PASSWORD or cluster.failures:
            answer = self.manage(method, f"/clusters/{cluster.id}/kmsuser", Password=PASSWORD)
            assert answer.status == 200, answer
            cluster.password = PASSWORD
            cluster.failures = 0
