"""The state machine that leads a life at random: every rule sends a request, and the model foretells it."""

import base64
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from hsmstore.domain.keystore import ConnectionErrorCode
from tests.load.keepalive import Exchange
from tests.model.estate import Site
from tests.model.model import (
    INTERNAL,
    NO_RESOURCE,
    NOT_FOUND,
    QUOTA,
    STATES,
    Cluster,
    Model,
    Proxy,
    Refusals,
    Store,
)
from tests.model.spelling import creation, credential, given, without_date
from tests.server import PASSWORD, Server

MOST_CLUSTERS = 5

names = st.sampled_from(["one", "two", "three", "zwölf / 十二", "x" * 256])  # more than the quota
passwords = st.sampled_from([PASSWORD, "another7", "a" * 32])
endpoints = st.sampled_from(["https://one.example.com", "https://two.example.com"])
paths = st.sampled_from(["/kms/xks/v1", "/one/kms/xks/v1", "/two/kms/xks/v1"])
letters = st.sampled_from("AB")
seldom = st.integers(0, 9).map(lambda number: number == 9)


class Life(RuleBasedStateMachine):
    """The life of two accounts on one server, which `on` names."""

    stores = Bundle("stores")
    clusters = Bundle("clusters")

    site: ClassVar[Site]
    slow: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(slow=self.slow)
        self.estate = self.site.take()
        self.known = list(self.estate.clusters)

    def teardown(self) -> None:
        """Leave the accounts as they were found."""
        self.site.give_back(self.estate, self.model, self.known)

    @initialize(target=clusters, durable=st.booleans())
    def begin(self, *, durable: bool) -> Any:
        """Start with the estate's clusters, in half of the lives for good: a new one takes its time."""
        self.durable = durable
        return multiple(*self.estate.clusters)

    @initialize(target=stores, count=st.integers(0, 2), connected=st.booleans())
    def settle(self, *, count: int, connected: bool) -> Any:
        """Start with a store on a cluster of each account, or of one, or with none."""
        clusters = {cluster.account: cluster for cluster in self.estate.clusters}
        made = [
            self._create(Store("", account, "one", cluster, anchor=cluster.anchor, password=PASSWORD))
            for account, cluster in list(clusters.items())[:count]
        ]
        for key_store_id in made if connected else []:
            self.connect(key_store_id=key_store_id, stranger=False)
        return multiple(*made)

    # What is asked of the server, and what the model makes of the answer.

    def call(self, account: str, operation: str, **members: Any) -> Exchange:
        """Send a KMS request. No refusal but KMSInternalException is the server's fault."""
        answer = self.site.call(account, operation, **members)
        expected = {"": 200, INTERNAL: 500}.get(answer.code, 400)
        assert answer.status == expected, answer
        return answer

    def granted(self, answer: Exchange, refusals: Refusals) -> bool:
        """Tell whether a request was granted, after seeing that it was as the model has it."""
        if refusals:
            assert answer.code in refusals, (answer, refusals)
        else:
            assert answer.code == "", answer
        return not refusals

    def ask(self, key_store_id: str, operation: str, *, stranger: bool = False, **members: Any) -> Any:
        """Send a request about a store as its owner, or as the other account; return it as the model has it.

        Of a store that is not there for the caller nothing is returned, once the server has said so.
        """
        account = self.owner(key_store_id, stranger=stranger)
        store = self.model.find(account, key_store_id)
        answer = self.call(account, operation, CustomKeyStoreId=key_store_id, **members)
        if store is None:
            assert answer.code == NOT_FOUND, answer
        return store, answer

    def owner(self, key_store_id: str, *, stranger: bool) -> str:
        """Return the account that the store is or was in, or the other one."""
        mine, other = self.estate.accounts
        first = self.model.accounts[key_store_id] == mine
        return mine if first is not stranger else other

    # Stores.

    @rule(
        target=stores,
        foreign=seldom,
        cluster=clusters,
        other=clusters,
        mistaken=seldom,
        crlf=st.booleans(),
        name=names,
        password=passwords,
    )
    def create(
        self,
        *,
        foreign: bool,
        cluster: Cluster,
        other: Cluster,
        mistaken: bool,
        crlf: bool,
        name: str,
        password: str,
    ) -> Any:
        """Create a CloudHSM key store, now and then in the wrong account or with the wrong certificate."""
        anchor = (other if mistaken else cluster).anchor
        anchor = anchor.replace("\n", "\r\n") if crlf else anchor
        mine, theirs = self.estate.accounts
        account = (theirs if cluster.account == mine else mine) if foreign else cluster.account
        return self._create(Store("", account, name, cluster, anchor=anchor, password=password))

    @rule(target=stores, first=st.booleans(), name=names, endpoint=endpoints, path=paths, letter=letters)
    def create_external(self, *, first: bool, name: str, endpoint: str, path: str, letter: str) -> Any:
        """Create an external key store."""
        account = self.estate.accounts[not first]
        return self._create(Store("", account, name, Proxy(endpoint, path, letter)))

    @rule(target=stores, key_store_id=stores)
    def create_again(self, *, key_store_id: str) -> Any:
        """Repeat what would create the store as it is, as far as a client can know it."""
        store = self.model.stores.get(key_store_id)
        if store is None:
            return multiple()
        password = PASSWORD if " " in store.password else store.password
        again = Store("", store.account, store.name, store.backing, store.anchor, password)
        return self._create(again)

    def _create(self, wanted: Store) -> Any:
        answer = self.call(wanted.account, "CreateCustomKeyStore", **creation(wanted))
        same = self.model.same(wanted)
        if same is not None:
            assert answer.code == "", answer
            assert answer.document == {"CustomKeyStoreId": same.id}
        elif self.granted(answer, self.model.refuse_create(wanted)):
            wanted.id = answer.document["CustomKeyStoreId"]
            assert wanted.id not in self.model.accounts, "an id was given twice"
            self.model.add(wanted)
            return wanted.id
        return multiple()

    @rule(
        key_store_id=stores,
        stranger=seldom,
        name=st.none() | names,
        password=st.none() | passwords,
        cluster=st.none() | clusters,
    )
    def update(
        self,
        *,
        key_store_id: str,
        stranger: bool,
        name: str | None,
        password: str | None,
        cluster: Cluster | None,
    ) -> None:
        """Change the name, the password and the cluster, or some of them: all or nothing."""
        members = {
            "NewCustomKeyStoreName": name,
            "KeyStorePassword": password,
            "CloudHsmClusterId": cluster and cluster.id,
        }
        store, answer = self.ask(key_store_id, "UpdateCustomKeyStore", stranger=stranger, **given(members))
        if store is None:
            return
        refusals: Refusals = set()
        refusals |= self.model.refuse_rename(store, name) if name else set()
        refusals |= self.model.refuse_password(store) if password else set()
        refusals |= self.model.refuse_move(store, cluster) if cluster else set()
        if self.granted(answer, refusals):
            store.name = name or store.name
            store.password = password or store.password

    @rule(
        key_store_id=stores,
        path=st.none() | paths,
        endpoint=st.none() | endpoints,
        letter=st.none() | letters,
    )
    def update_proxy(
        self, *, key_store_id: str, path: str | None, endpoint: str | None, letter: str | None
    ) -> None:
        """Change what an external key store knows of its proxy."""
        members = {
            "XksProxyUriPath": path,
            "XksProxyUriEndpoint": endpoint,
            "XksProxyAuthenticationCredential": letter and credential(letter),
        }
        store, answer = self.ask(key_store_id, "UpdateCustomKeyStore", **given(members))
        if store is not None and self.granted(
            answer, self.model.refuse_proxy(store, path=path, endpoint=endpoint, letter=letter)
        ):
            self.model.update_proxy(store, path=path, endpoint=endpoint, letter=letter)

    @rule(key_store_id=stores, stranger=seldom)
    def delete(self, *, key_store_id: str, stranger: bool) -> None:
        """Delete a store."""
        store, answer = self.ask(key_store_id, "DeleteCustomKeyStore", stranger=stranger)
        if store is not None and self.granted(answer, self.model.refuse_delete(store)):
            del self.model.stores[key_store_id]

    @rule(key_store_id=stores, stranger=seldom)
    def connect(self, *, key_store_id: str, stranger: bool) -> None:
        """Connect a store, whatever will come of it."""
        store, answer = self.ask(key_store_id, "ConnectCustomKeyStore", stranger=stranger)
        if store is not None and self.granted(answer, self.model.refuse_connect(store)):
            assert answer.body == b"{}"
            self.model.connect(store)

    @rule(key_store_id=stores, stranger=seldom)
    def disconnect(self, *, key_store_id: str, stranger: bool) -> None:
        """Disconnect a store."""
        store, answer = self.ask(key_store_id, "DisconnectCustomKeyStore", stranger=stranger)
        if store is not None and self.granted(answer, self.model.refuse_disconnect(store)):
            assert answer.body == b"{}"
            self.model.disconnect(store)

    @rule(key_store_id=stores, times=st.integers(2, 6))
    def insist(self, *, key_store_id: str, times: int) -> None:
        """Connect and disconnect over and over, as people do whose store fails to connect."""
        for _ in range(times):
            self.connect(key_store_id=key_store_id, stranger=False)
            self.describe(key_store_id=key_store_id, stranger=False)
            self.disconnect(key_store_id=key_store_id, stranger=False)

    @rule(key_store_id=stores, stranger=seldom, length=st.integers(1, 1024))
    def draw(self, *, key_store_id: str, stranger: bool, length: int) -> None:
        """Draw from a store; only a CONNECTED one gives bytes."""
        store, answer = self.ask(key_store_id, "GenerateRandom", stranger=stranger, NumberOfBytes=length)
        if store is not None and self.granted(answer, self.model.refuse_draw(store)):
            assert len(base64.b64decode(answer.document["Plaintext"], validate=True)) == length
        else:
            assert "Plaintext" not in answer.document

    @rule(length=st.integers(1, 1024))
    def draw_from_the_system(self, *, length: int) -> None:
        """Draw without a store."""
        answer = self.call(self.estate.accounts[0], "GenerateRandom", NumberOfBytes=length)
        assert len(base64.b64decode(answer.document["Plaintext"], validate=True)) == length

    # Looking.

    @rule(key_store_id=stores, stranger=seldom)
    def describe(self, *, key_store_id: str, stranger: bool) -> None:
        """Describe a store by its id."""
        store, answer = self.ask(key_store_id, "DescribeCustomKeyStores", stranger=stranger)
        if store is not None:
            assert self.granted(answer, set())
            (entry,) = answer.document["CustomKeyStores"]
            assert without_date(entry) == store.described

    @rule(first=st.booleans(), name=names)
    def describe_by_name(self, *, first: bool, name: str) -> None:
        """Describe a store by its name."""
        account = self.estate.accounts[not first]
        answer = self.call(account, "DescribeCustomKeyStores", CustomKeyStoreName=name)
        store = self.model.named(account, name)
        if self.granted(answer, set() if store else {NOT_FOUND}) and store:
            assert [without_date(entry) for entry in answer.document["CustomKeyStores"]] == [store.described]

    @rule(first=st.booleans(), limit=st.integers(1, QUOTA + 1))
    def describe_in_pages(self, *, first: bool, limit: int) -> None:
        """Page through all stores: every one comes once, and no page but the last is short."""
        account = self.estate.accounts[not first]
        found: list[Any] = []
        more: dict[str, str] = {}
        while True:
            page = self.call(account, "DescribeCustomKeyStores", Limit=limit, **more).document
            found += page["CustomKeyStores"]
            assert ("NextMarker" in page) is page["Truncated"]
            if not page["Truncated"]:
                break
            assert len(page["CustomKeyStores"]) == limit
            more = {"Marker": page["NextMarker"]}
        assert len(page["CustomKeyStores"]) <= limit
        assert page["CustomKeyStores"] or not found
        assert [without_date(entry) for entry in found] == [s.described for s in self.model.of(account)]

    # The clusters' owner.

    @precondition(lambda self: not self.durable and len(self.known) < MOST_CLUSTERS)
    @rule(target=clusters, first=st.booleans(), hsms=st.integers(0, 2), password=st.none() | passwords)
    def create_cluster(self, *, first: bool, hsms: int, password: str | None) -> Cluster:
        """Create a cluster, which may be too small for a key store."""
        self.known.append(self.site.new_cluster(self.estate.accounts[not first], hsms, password))
        return self.known[-1]

    @precondition(lambda self: not self.durable)
    @rule(cluster=clusters)
    def delete_cluster(self, *, cluster: Cluster) -> None:
        """Delete a cluster under whatever stands on it."""
        answer = self.site.manage("DELETE", f"/clusters/{cluster.id}")
        if self.granted(answer, set() if cluster.exists else {NO_RESOURCE}):
            cluster.exists = False

    @rule(cluster=clusters, method=st.sampled_from(["POST", "PUT", "DELETE"]), password=passwords)
    def change_kmsuser(self, *, cluster: Cluster, method: str, password: str) -> None:
        """Create kmsuser, set his password, or delete him."""
        members = {} if method == "DELETE" else {"Password": password}
        answer = self.site.manage(method, f"/clusters/{cluster.id}/kmsuser", **members)
        if self.granted(answer, self.model.refuse_kmsuser(cluster, exists=method != "POST")):
            cluster.password = None if method == "DELETE" else password
            cluster.failures = 0

    # What holds after each step.

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        """See that the registry is sound, and that it holds what the model holds."""
        for account in self.estate.accounts:
            answer = self.call(account, "DescribeCustomKeyStores").document
            assert answer["Truncated"] is False
            entries = answer["CustomKeyStores"]
            for member in ("CustomKeyStoreId", "CustomKeyStoreName"):
                assert len({entry[member] for entry in entries}) == len(entries)
            assert len(entries) <= QUOTA
            for entry in entries:
                _check(entry)
            assert [without_date(entry) for entry in entries] == [
                store.described for store in self.model.of(account)
            ]

    @invariant()
    def clusters_are_as_the_model_says(self) -> None:
        """See that the clusters are those of the model, with the kmsuser that it knows of."""
        for account in self.estate.accounts:
            listed = self.site.manage("GET", f"/clusters?AccountId={account}").document["Clusters"]
            assert {entry["CloudHsmClusterId"]: entry["KmsuserExists"] for entry in listed} == {
                cluster.id: cluster.password is not None
                for cluster in self.known
                if cluster.exists and cluster.account == account
            }


class InterruptedLife(Life):
    """A life in which the server is ended and started again in the middle."""

    restarts = 0

    @precondition(lambda self: self.restarts < 2)
    @rule(end=st.sampled_from([Server.stop, Server.kill]))
    def restart(self, *, end: Any) -> None:
        """End the server with SIGTERM or SIGKILL, and start it again."""
        self.restarts += 1
        self.site.restart(end)


def on(site: Site, kind: type[Life], *, slow: bool = False) -> type[Life]:
    """Return lives of this kind on `site`, where phases are slow or take an instant."""
    return type(kind.__name__, (kind,), {"site": site, "slow": slow})


def _check(entry: dict[str, Any]) -> None:
    """Check what is true of every key store of every model."""
    assert entry["ConnectionState"] in STATES
    assert ("ConnectionErrorCode" in entry) == (entry["ConnectionState"] == "FAILED")
    assert entry.get("ConnectionErrorCode") in {None, *ConnectionErrorCode}
    assert entry["CreationDate"] > 0
