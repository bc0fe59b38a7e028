"""Lives of keys at random: stores that come and go, a clock that jumps, a network that breaks, faults.

The model is a few dictionaries. Every rule sends one request that it can foretell, and after each step every
key is described and compared.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.load.keepalive import Exchange, KeepAlive, kms_request, management_request
from tests.server import Server, running

DAY = 86_400
ACCOUNT = "777788889999"
SHARE_OF_LIVES = 0.15  # of the profile's examples; a key takes as long as ten other requests

STATE = "KMSInvalidStateException"
DISABLED = "DisabledException"
NOT_FOUND = "NotFoundException"
STORE_STATE = "CustomKeyStoreInvalidStateException"
INTERNAL = "KMSInternalException"
FAULTY = {"encrypt": "KMSInternalException", "Encrypt": "ThrottlingException"}

names = st.sampled_from(["alias/one", "alias/two", "alias/drei_3"])


@dataclass
class Store:
    """A key store: its cluster, its state, and whether the network to the cluster is there."""

    id: str
    cluster: str
    state: str = "CONNECTED"
    reachable: bool = True


@dataclass
class Key:
    """A key, as its owner has left it."""

    id: str
    store: Store
    enabled: bool = True
    deletion_at: float | None = None
    has_material: bool = True
    description: str = ""
    blobs: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """The state that DescribeKey must show."""
        if self.deletion_at is not None:
            return "PendingDeletion"
        if self.store.state != "CONNECTED":
            return "Unavailable"
        return "Enabled" if self.enabled else "Disabled"

    @property
    def refusal(self) -> str:
        """What cryptography is refused with, if it is."""
        if self.state in {"PendingDeletion", "Unavailable"}:
            return STATE
        if not self.enabled:
            return DISABLED
        return "" if self.store.reachable and self.has_material else STATE


class KeyLife(RuleBasedStateMachine):
    """The keys of one account with two key stores, on a server of their own."""

    keys = Bundle("keys")

    server: ClassVar[Server]
    connection: ClassVar[KeepAlive]
    stores: ClassVar[list[Store]]

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Key] = {}
        self.aliases: dict[str, str] = {}
        self.now = self.manage("GET", "/clock").document["Now"]
        self.restarts = 0

    def teardown(self) -> None:
        """Let every key go, and leave the stores connected."""
        self.manage("DELETE", "/faults")
        for store in self.stores:
            self._reach(store, reachable=True)
            self._connect(store)
        for key in self.known.values():
            if key.deletion_at is None:
                self.call("ScheduleKeyDeletion", KeyId=key.id, PendingWindowInDays=7)
        self.manage("POST", "/clock/advance", Seconds=31 * DAY)
        assert self.call("ListKeys").document["Keys"] == []

    def call(self, operation: str, **members: Any) -> Exchange:
        """Send a KMS request."""
        return self.connection.exchange(kms_request(operation, members, ACCOUNT))

    def manage(self, method: str, path: str, **members: Any) -> Exchange:
        """Send a request of the management API, which must be granted."""
        answer = self.connection.exchange(management_request(method, path, members or None))
        assert answer.status == 200, answer
        return answer

    def expect(self, answer: Exchange, refusal: str) -> bool:
        """See that the answer is as foretold; tell whether the request was granted."""
        assert answer.code == refusal, (answer, refusal)
        return not refusal

    # Keys.

    @initialize(target=keys)
    def begin(self) -> str:
        """Start with one key."""
        return self._made(self.stores[0])

    @rule(target=keys, number=st.integers(0, 1))
    def create(self, *, number: int) -> Any:
        """Make a key in one of the stores."""
        store = self.stores[number]
        if store.state == "CONNECTED" and store.reachable:
            return self._made(store)
        refusal = STORE_STATE if store.state != "CONNECTED" else INTERNAL
        self.expect(self.call("CreateKey", Origin="AWS_CLOUDHSM", CustomKeyStoreId=store.id), refusal)
        return multiple()

    def _made(self, store: Store) -> str:
        answer = self.call("CreateKey", Origin="AWS_CLOUDHSM", CustomKeyStoreId=store.id)
        self.expect(answer, "")
        key = Key(answer.document["KeyMetadata"]["KeyId"], store)
        assert key.id not in self.known
        self.known[key.id] = key
        return key.id

    @rule(key_id=keys, enabled=st.booleans())
    def enable(self, *, key_id: str, enabled: bool) -> None:
        """Enable a key or disable it."""
        key = self.known.get(key_id)
        answer = self.call("EnableKey" if enabled else "DisableKey", KeyId=key_id)
        if self.expect(answer, self._refuse_change(key)) and key is not None:
            key.enabled = enabled

    @rule(key_id=keys, text=st.sampled_from(["", "x", "ü" * 8192]))
    def describe_anew(self, *, key_id: str, text: str) -> None:
        """Change a key's description."""
        key = self.known.get(key_id)
        answer = self.call("UpdateKeyDescription", KeyId=key_id, Description=text)
        if self.expect(answer, self._refuse_change(key)) and key is not None:
            key.description = text

    @rule(key_id=keys, days=st.integers(7, 30))
    def schedule(self, *, key_id: str, days: int) -> None:
        """Schedule a key's deletion."""
        key = self.known.get(key_id)
        answer = self.call("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=days)
        if self.expect(answer, self._refuse_change(key)) and key is not None:
            key.deletion_at = self.now + days * DAY

    @rule(key_id=keys)
    def cancel(self, *, key_id: str) -> None:
        """Cancel a key's deletion."""
        key = self.known.get(key_id)
        answer = self.call("CancelKeyDeletion", KeyId=key_id)
        refusal = NOT_FOUND if key is None else "" if key.deletion_at is not None else STATE
        if self.expect(answer, refusal) and key is not None:
            key.deletion_at, key.enabled = None, False

    @staticmethod
    def _refuse_change(key: Key | None) -> str:
        if key is None:
            return NOT_FOUND
        return STATE if key.deletion_at is not None else ""

    # What is done with them.

    @rule(key_id=keys)
    def encrypt(self, *, key_id: str) -> None:
        """Encrypt; what came of it must be decrypted ever after, as long as the key can be used."""
        key = self.known.get(key_id)
        answer = self.call("Encrypt", KeyId=key_id, Plaintext=base64.b64encode(key_id.encode()).decode())
        if self.expect(answer, NOT_FOUND if key is None else key.refusal) and key is not None:
            key.blobs.append(answer.document["CiphertextBlob"])

    @rule(key_id=keys)
    def decrypt(self, *, key_id: str) -> None:
        """Decrypt whatever the key has encrypted."""
        key = self.known.get(key_id)
        for blob in [] if key is None else key.blobs[-2:]:
            answer = self.call("Decrypt", CiphertextBlob=blob)
            if self.expect(answer, key.refusal if key else ""):
                assert base64.b64decode(answer.document["Plaintext"]).decode() == key_id

    @rule(key_id=keys, point=st.sampled_from(sorted(FAULTY)))
    def fail_once(self, *, key_id: str, point: str) -> None:
        """Let the next call fail, and see that the one behind it does not."""
        key = self.known.get(key_id)
        if key is None or key.refusal:
            return
        self.manage("POST", "/faults", Point=point, Effect="exception", Error=FAULTY[point], Times=1)
        assert self.call("Encrypt", KeyId=key_id, Plaintext="QUJD").code == FAULTY[point]
        assert self.call("Encrypt", KeyId=key_id, Plaintext="QUJD").code == ""
        self.manage("DELETE", "/faults")

    # Aliases.

    @rule(key_id=keys, name=names)
    def name(self, *, key_id: str, name: str) -> None:
        """Give a key an alias."""
        key = self.known.get(key_id)
        refusal = self._refuse_change(key) or ("AlreadyExistsException" if name in self.aliases else "")
        answer = self.call("CreateAlias", AliasName=name, TargetKeyId=key_id)
        assert (answer.status == 200) == (not refusal), (answer, refusal)
        if refusal:
            assert answer.code == refusal
        else:
            self.aliases[name] = key_id

    @rule(name=names)
    def forget_name(self, *, name: str) -> None:
        """Delete an alias."""
        answer = self.call("DeleteAlias", AliasName=name)
        if self.expect(answer, "" if name in self.aliases else NOT_FOUND):
            del self.aliases[name]

    # The stores, the clusters and the time.

    @rule(number=st.integers(0, 1))
    def disconnect(self, *, number: int) -> None:
        """Disconnect a store."""
        store = self.stores[number]
        answer = self.call("DisconnectCustomKeyStore", CustomKeyStoreId=store.id)
        if self.expect(answer, STORE_STATE if store.state == "DISCONNECTED" else ""):
            store.state = "DISCONNECTED"

    @rule(number=st.integers(0, 1))
    def connect(self, *, number: int) -> None:
        """Connect a store, which fails while its cluster cannot be reached."""
        self._connect(self.stores[number])

    def _connect(self, store: Store) -> None:
        if store.state == "FAILED":
            self.expect(self.call("DisconnectCustomKeyStore", CustomKeyStoreId=store.id), "")
            store.state = "DISCONNECTED"
        self.expect(self.call("ConnectCustomKeyStore", CustomKeyStoreId=store.id), "")
        if store.state == "DISCONNECTED":
            store.state = "CONNECTED" if store.reachable else "FAILED"

    @rule(number=st.integers(0, 1))
    def delete_store(self, *, number: int) -> None:
        """Try to delete a store that has keys."""
        store = self.stores[number]
        if any(key.store is store for key in self.known.values()):
            expected = STORE_STATE if store.state != "DISCONNECTED" else "CustomKeyStoreHasCMKsException"
            self.expect(self.call("DeleteCustomKeyStore", CustomKeyStoreId=store.id), expected)

    @rule(number=st.integers(0, 1), reachable=st.booleans())
    def cut(self, *, number: int, reachable: bool) -> None:
        """Cut the network to a cluster, or restore it."""
        self._reach(self.stores[number], reachable=reachable)

    def _reach(self, store: Store, *, reachable: bool) -> None:
        if store.reachable is not reachable:
            self.manage("PUT", f"/clusters/{store.cluster}/network", Reachable=reachable)
            store.reachable = reachable

    @precondition(lambda self: any(key.has_material and not key.refusal for key in self.known.values()))
    @rule(key_id=keys)
    def lose(self, *, key_id: str) -> None:
        """Delete a key's material behind KMS's back."""
        key = self.known.get(key_id)
        if key is not None and not key.refusal:
            self.manage("DELETE", f"/clusters/{key.store.cluster}/keys/{key_id}")
            key.has_material = False

    @rule(days=st.sampled_from([1, 7, 30]))
    def wait(self, *, days: int) -> None:
        """Let days pass."""
        self.manage("POST", "/clock/advance", Seconds=days * DAY)
        self.now += days * DAY
        for key in list(self.known.values()):
            if key.deletion_at is not None and key.deletion_at <= self.now:
                del self.known[key.id]
                self.aliases = {name: owner for name, owner in self.aliases.items() if owner != key.id}

    @precondition(lambda self: self.restarts < 1)
    @rule(end=st.sampled_from([Server.stop, Server.kill]))
    def restart(self, *, end: Any) -> None:
        """End the server with SIGTERM or SIGKILL, and start it again."""
        self.restarts += 1
        end(self.server)
        self.connection.close()
        self.server.start()

    # What holds after each step.

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        """See that the keys are those of the model, in the model's state, under the model's names."""
        listed = [entry["KeyId"] for entry in self.call("ListKeys").document["Keys"]]
        assert sorted(listed) == sorted(self.known)  # the clock stands still, so ids decide
        for key in self.known.values():
            shown = self.call("DescribeKey", KeyId=key.id).document["KeyMetadata"]
            assert (shown["KeyState"], shown["Description"]) == (key.state, key.description)
            assert shown["Enabled"] == (key.state == "Enabled")
            assert ("DeletionDate" in shown) == (key.deletion_at is not None)
        entries = self.call("ListAliases").document["Aliases"]
        assert {entry["AliasName"]: entry["TargetKeyId"] for entry in entries} == self.aliases


@pytest.fixture
def kind(tmp_path: Path) -> Iterator[type[KeyLife]]:
    """Give lives on a server with two connected key stores, whose clock stands still."""
    with running(tmp_path / "data", "--profile", "instant") as server, KeepAlive(server.port) as connection:
        server.manage("PUT", "/clock/rate", {"Rate": 0})
        stores = [_connected(server, name) for name in ("one", "two")]
        yield type("Life", (KeyLife,), {"server": server, "connection": connection, "stores": stores})
        assert "unexpected" not in server.log
        assert "Traceback" not in server.log


def _connected(server: Server, name: str) -> Store:
    cluster = server.new_cluster(AccountId=ACCOUNT)
    store = server.new_store(name, cluster, account=ACCOUNT)
    server.kms(account=ACCOUNT).connect_custom_key_store(CustomKeyStoreId=store)
    return Store(store, cluster["CloudHsmClusterId"])


@pytest.mark.endurance
def test_life_of_keys(kind: type[KeyLife]) -> None:
    """Whatever happens to keys, their stores, the time and the network, each answer is as the model says."""
    lives = settings(
        max_examples=max(1, int(settings().max_examples * SHARE_OF_LIVES)), stateful_step_count=25
    )
    run_state_machine_as_test(kind, settings=lives)
