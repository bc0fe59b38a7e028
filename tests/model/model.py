"""What the API should do, in a few lines of plain Python: stores, clusters, and who is refused what.

Where several refusals apply to a request, which one comes first is the server's choice: the model names all
of them. A request to which none applies must be granted, and one that is refused must change nothing.
"""

from dataclasses import dataclass, field
from typing import Any, Final

QUOTA: Final = 3
WRONG_PASSWORDS_MAX: Final = 5

NOT_FOUND: Final = "CustomKeyStoreNotFoundException"
INVALID_STATE: Final = "CustomKeyStoreInvalidStateException"
NAME_IN_USE: Final = "CustomKeyStoreNameInUseException"
URI_IN_USE: Final = "XksProxyUriInUseException"
INTERNAL: Final = "KMSInternalException"
UNSUPPORTED: Final = "UnsupportedOperationException"
INVALID: Final = "ValidationException"
NO_CLUSTER: Final = "CloudHsmClusterNotFoundException"
CLUSTER_IN_USE: Final = "CloudHsmClusterInUseException"
CLUSTER_NOT_ACTIVE: Final = "CloudHsmClusterNotActiveException"
CLUSTER_UNRELATED: Final = "CloudHsmClusterNotRelatedException"
CLUSTER_TOO_SMALL: Final = "CloudHsmClusterInvalidConfigurationException"
WRONG_ANCHOR: Final = "IncorrectTrustAnchorException"
OVER_QUOTA: Final = "LimitExceededException"
NO_RESOURCE: Final = "CloudHsmResourceNotFoundException"
BAD_REQUEST: Final = "CloudHsmInvalidRequestException"

STATES: Final = {"DISCONNECTED", "CONNECTING", "CONNECTED", "DISCONNECTING", "FAILED"}

Refusals = set[str]


@dataclass
class Cluster:
    """A cluster: the password that kmsuser really has (None: no kmsuser), and whether it still exists.

    `failures` counts the wrong passwords since the last right one.
    """

    id: str
    account: str
    anchor: str
    hsms: int
    password: str | None
    exists: bool = True
    failures: int = 0


@dataclass
class Proxy:
    """An external key store's proxy; its secret is as long as AWS asks, and known by one letter."""

    endpoint: str
    path: str
    letter: str


@dataclass
class Store:
    """A key store: what is behind it, and the kmsuser password that KMS believes in."""

    id: str
    account: str
    name: str
    backing: Cluster | Proxy
    anchor: str = ""
    password: str = ""
    state: str = "DISCONNECTED"
    code: str | None = None

    @property
    def external(self) -> bool:
        """Whether this is an external key store."""
        return isinstance(self.backing, Proxy)

    @property
    def described(self) -> dict[str, Any]:
        """What DescribeCustomKeyStores says of it; the date of its creation is not the model's business."""
        entry = {
            "CustomKeyStoreId": self.id,
            "CustomKeyStoreName": self.name,
            "ConnectionState": self.state,
        }
        if self.code is not None:
            entry["ConnectionErrorCode"] = self.code
        if isinstance(self.backing, Cluster):
            return entry | {
                "CustomKeyStoreType": "AWS_CLOUDHSM",
                "CloudHsmClusterId": self.backing.id,
                "TrustAnchorCertificate": self.anchor,
            }
        return entry | {
            "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
            "XksProxyConfiguration": {
                "Connectivity": "PUBLIC_ENDPOINT",
                "AccessKeyId": self.backing.letter * 20,
                "UriEndpoint": self.backing.endpoint,
                "UriPath": self.backing.path,
            },
        }


@dataclass
class Model:
    """Everything that there is. With `slow` phases a store stays CONNECTING or DISCONNECTING for good."""

    slow: bool = False
    stores: dict[str, Store] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    rotations: int = 0

    def add(self, store: Store) -> None:
        """Take in a store that was created; the account of its id is remembered for good."""
        self.stores[store.id] = store
        self.accounts[store.id] = store.account

    def of(self, account: str) -> list[Store]:
        """Return the account's stores, oldest first."""
        return [store for store in self.stores.values() if store.account == account]

    def find(self, account: str, key_store_id: str) -> Store | None:
        """Return the store, where it is and is the account's."""
        store = self.stores.get(key_store_id)
        return store if store is not None and store.account == account else None

    def named(self, account: str, name: str) -> Store | None:
        """Return the account's store of this name."""
        return next((store for store in self.of(account) if store.name == name), None)

    # Create.

    def same(self, wanted: Store) -> Store | None:
        """Return the DISCONNECTED store whose Create this one repeats."""
        other = self.named(wanted.account, wanted.name)
        if other is None or other.state != "DISCONNECTED" or other.backing != wanted.backing:
            return None
        same = (_bare(other.anchor), other.password) == (_bare(wanted.anchor), wanted.password)
        return other if same else None

    def refuse_create(self, wanted: Store) -> Refusals:
        """Say why `wanted`, which repeats no Create, cannot be created."""
        refusals = set()
        if self.named(wanted.account, wanted.name):
            refusals.add(NAME_IN_USE)
        if len(self.of(wanted.account)) >= QUOTA:
            refusals.add(OVER_QUOTA)
        if isinstance(wanted.backing, Proxy):
            return refusals | self._refuse_proxy(wanted, wanted.backing)
        refusals |= self._refuse_cluster(wanted.account, wanted.backing)
        if _bare(wanted.anchor) != _bare(wanted.backing.anchor):
            refusals.add(WRONG_ANCHOR)
        return refusals

    def _refuse_cluster(self, account: str, cluster: Cluster) -> Refusals:
        refusals = set()
        if not cluster.exists or cluster.account != account:
            refusals.add(NO_CLUSTER)
        if cluster.hsms == 0:
            refusals.add(CLUSTER_NOT_ACTIVE)
        if cluster.hsms < 2:
            refusals.add(CLUSTER_TOO_SMALL)
        if any(store.backing is cluster for store in self.stores.values()):
            refusals.add(CLUSTER_IN_USE)
        return refusals

    def _refuse_proxy(self, store: Store, proxy: Proxy) -> Refusals:
        def taken(other: Store) -> bool:
            backing = other.backing
            return isinstance(backing, Proxy) and (backing.endpoint, backing.path) == (
                proxy.endpoint,
                proxy.path,
            )

        others = [other for other in self.of(store.account) if other.id != store.id]
        return {URI_IN_USE} if any(map(taken, others)) else set()

    # Update and delete.

    def refuse_rename(self, store: Store, name: str) -> Refusals:
        """Say why the store cannot have this name."""
        refusals = set() if store.state in {"CONNECTED", "DISCONNECTED"} else {INVALID_STATE}
        namesake = self.named(store.account, name)
        if namesake is not None and namesake is not store:
            refusals.add(NAME_IN_USE)
        return refusals

    def refuse_password(self, store: Store) -> Refusals:
        """Say why KMS cannot be told another password."""
        return {INVALID} if store.external else self._refuse_unless_disconnected(store)

    def refuse_move(self, store: Store, cluster: Cluster) -> Refusals:
        """Say why the store cannot be on `cluster`: every cluster here has a certificate of its own."""
        if store.backing is cluster:
            return set()
        if store.external:
            return {INVALID}
        refusals = self._refuse_unless_disconnected(store)
        return refusals | self._refuse_cluster(store.account, cluster) | {CLUSTER_UNRELATED}

    def refuse_proxy(
        self, store: Store, *, path: str | None, endpoint: str | None, letter: str | None
    ) -> Refusals:
        """Say why the proxy's path, endpoint or credential cannot become these."""
        if path is endpoint is letter is None:
            return set()
        if not isinstance(store.backing, Proxy):
            return {INVALID}
        allowed = {"DISCONNECTED"} if endpoint else {"DISCONNECTED", "CONNECTED"}
        refusals = set() if store.state in allowed else {INVALID_STATE}
        moved = Proxy(endpoint or store.backing.endpoint, path or store.backing.path, store.backing.letter)
        return refusals | self._refuse_proxy(store, moved)

    @staticmethod
    def update_proxy(store: Store, *, path: str | None, endpoint: str | None, letter: str | None) -> None:
        """Change what the store knows of its proxy."""
        if isinstance(store.backing, Proxy):
            store.backing = Proxy(
                endpoint or store.backing.endpoint, path or store.backing.path, letter or store.backing.letter
            )

    def refuse_delete(self, store: Store) -> Refusals:
        """Say why the store cannot be deleted."""
        return self._refuse_unless_disconnected(store)

    @staticmethod
    def _refuse_unless_disconnected(store: Store) -> Refusals:
        return set() if store.state == "DISCONNECTED" else {INVALID_STATE}

    # Connect, disconnect, draw.

    def refuse_connect(self, store: Store) -> Refusals:
        """Say why the store cannot start to connect."""
        return {INVALID_STATE} if store.state in {"DISCONNECTING", "FAILED"} else set()

    def connect(self, store: Store) -> None:
        """Connect the store, whose Connect was granted; a password that fits is changed at once."""
        if store.state != "DISCONNECTED":
            return
        if self.slow:
            store.state = "CONNECTING"
            return
        store.code = self._fault(store)
        store.state = "FAILED" if store.code else "CONNECTED"
        if not isinstance(store.backing, Cluster):
            return
        if store.code is None:
            self.rotations += 1
            store.password = store.backing.password = f"known to KMS alone {self.rotations}"
            store.backing.failures = 0
        elif store.code == "INVALID_CREDENTIALS":
            store.backing.failures += 1

    @staticmethod
    def _fault(store: Store) -> str | None:
        if isinstance(store.backing, Proxy):
            return "XKS_PROXY_NOT_REACHABLE"
        if not store.backing.exists:
            return "CLUSTER_NOT_FOUND"
        if store.backing.password is None:
            return "USER_NOT_FOUND"
        if store.backing.failures >= WRONG_PASSWORDS_MAX:
            return "USER_LOCKED_OUT"
        return None if store.backing.password == store.password else "INVALID_CREDENTIALS"

    def refuse_disconnect(self, store: Store) -> Refusals:
        """Say why the store cannot start to disconnect."""
        return {INVALID_STATE} if store.state in {"DISCONNECTING", "DISCONNECTED"} else set()

    def disconnect(self, store: Store) -> None:
        """Disconnect the store, whose Disconnect was granted."""
        store.state = "DISCONNECTING" if self.slow else "DISCONNECTED"
        store.code = None

    def refuse_draw(self, store: Store) -> Refusals:
        """Say why the store gives no bytes."""
        if isinstance(store.backing, Proxy):
            return {UNSUPPORTED}
        if store.state != "CONNECTED":
            return {INVALID_STATE}
        return set() if store.backing.exists else {INTERNAL}

    # The cluster's owner.

    def refuse_kmsuser(self, cluster: Cluster, *, exists: bool) -> Refusals:
        """Say why kmsuser, of whom the request supposes that he exists or not, cannot be changed."""
        if not cluster.exists:
            return {NO_RESOURCE}
        logged_in = any(
            store.backing is cluster and store.state == "CONNECTED" for store in self.stores.values()
        )
        if cluster.hsms == 0 or logged_in or (cluster.password is not None) is not exists:
            return {BAD_REQUEST}
        return set()


def _bare(anchor: str) -> str:
    """Return the certificate without what PEM lets vary."""
    return "".join(anchor.split())
