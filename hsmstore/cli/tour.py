"""The whole life of a key store, step by step: what `hsmstore demo` walks."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from hsmstore.cli.client import Refused, Simulator, Unreachable
from hsmstore.cli.draw import drawn_bytes
from hsmstore.cli.views import ClusterView, CreatedView
from hsmstore.cli.waiting import Unsettled, describe, require_state, settled

PATIENCE: Final = 1800.0
SAMPLE: Final = 16
PASSWORDS: Final = ("kmsPassword1", "kmsPassword2")

INVALID_STATE: Final = "CustomKeyStoreInvalidStateException"
UNSUPPORTED: Final = "UnsupportedOperationException"


class Step(NamedTuple):
    """What was done, what came of it, and the key store's state afterwards."""

    what: str
    outcome: str
    state: str


class Watcher(Protocol):
    """Whoever watches a tour."""

    def busy(self, text: str) -> None:
        """See what is under way."""
        ...

    def add(self, row: Step) -> None:
        """See a step that is done."""
        ...


class Tour:
    """What there is to do on a walk, and what has been made and not yet deleted."""

    def __init__(self, simulator: Simulator, watcher: Watcher) -> None:
        """Take the simulator to walk on, and who watches."""
        self._simulator = simulator
        self._watcher = watcher
        self._cluster: ClusterView | None = None
        self._stores: list[str] = []

    def step(self, what: str, act: Callable[[], str], *, refused: str | None = None) -> None:
        """Do one thing and show it.

        Raises:
            Unsettled: it was to be `refused` with this AWS error, and was not.

        """
        self._watcher.busy(what)
        stores_before = len(self._stores)
        try:
            outcome = act()
        except Refused as error:
            if error.code != refused:
                raise
            outcome = f"refused: {error.code}"
        else:
            if refused is not None:
                raise Unsettled(f"{what}: {refused} was to refuse this, but the answer was: {outcome}")
        has_store = len(self._stores) >= max(1, stores_before)  # and has not just deleted it
        state = describe(self._simulator, self._store).connection_state if has_store else ""
        self._watcher.add(Step(what, outcome, state))

    @property
    def _store(self) -> str:
        return self._stores[-1]

    @property
    def _cluster_id(self) -> str:
        return self._cluster.cloud_hsm_cluster_id if self._cluster else ""

    def create_cluster(self) -> str:
        """Make a cluster with a kmsuser."""
        simulator = self._simulator
        answer = simulator.manage("POST", "clusters", KmsuserPassword=PASSWORDS[0], **simulator.scope)
        self._cluster = simulator.read(answer, ClusterView)
        return self._cluster_id

    def create_store(self) -> str:
        """Make a key store over the cluster."""
        certificate = self._cluster and self._cluster.trust_anchor_certificate
        return self._create(
            CustomKeyStoreName=f"tour of {self._cluster_id}",
            CloudHsmClusterId=self._cluster_id,
            KeyStorePassword=PASSWORDS[0],
            TrustAnchorCertificate=certificate,
        )

    def create_external_store(self) -> str:
        """Make an external key store, whose proxy does not exist."""
        return self._create(
            CustomKeyStoreName=f"external, tour of {self._cluster_id}",
            CustomKeyStoreType="EXTERNAL_KEY_STORE",
            XksProxyConnectivity="PUBLIC_ENDPOINT",
            XksProxyUriEndpoint=f"https://{self._cluster_id}.example.com",
            XksProxyUriPath="/kms/xks/v1",
            XksProxyAuthenticationCredential={
                "AccessKeyId": "ABCDEFGHIJKLMNOPQRST",
                "RawSecretAccessKey": "ofAProxyThatDoesNotExistAndThatNobodyEverCalls0",
            },
        )

    def _create(self, **members: object) -> str:
        answer = self._simulator.kms("CreateCustomKeyStore", **members)
        self._stores.append(self._simulator.read(answer, CreatedView).custom_key_store_id)
        return self._store

    def draw(self) -> str:
        """Draw from the HSM."""
        return drawn_bytes(self._simulator, SAMPLE, self._store).hex()

    def connect(self) -> str:
        """Connect, and see it connected."""
        return self._go("ConnectCustomKeyStore", "CONNECTED")

    def connect_in_vain(self) -> str:
        """Connect, and see it fail."""
        return self._go("ConnectCustomKeyStore", "FAILED")

    def disconnect(self) -> str:
        """Disconnect, and see it disconnected."""
        return self._go("DisconnectCustomKeyStore", "DISCONNECTED")

    def _go(self, operation: str, state: str) -> str:
        passed: list[str] = []

        def tell(current: str, _: float) -> None:
            if passed[-1:] != [current]:
                passed.append(current)
                self._watcher.busy(f"{operation}: {current}")

        self._simulator.kms(operation, CustomKeyStoreId=self._store)
        store = settled(self._simulator, self._store, timeout=PATIENCE, tell=tell)
        require_state(store, state)
        error = f" ({store.connection_error_code})" if store.connection_error_code else ""
        return " → ".join(passed) + error

    def change_password(self) -> str:
        """Set kmsuser's password in the cluster, which KMS does not hear of."""
        self._simulator.manage("PUT", "clusters", self._cluster_id, "kmsuser", Password=PASSWORDS[1])
        return "done"

    def update_password(self) -> str:
        """Tell KMS the password."""
        members = {"CustomKeyStoreId": self._store, "KeyStorePassword": PASSWORDS[1]}
        self._simulator.kms("UpdateCustomKeyStore", **members)
        return "done"

    def delete_store(self) -> str:
        """Delete the key store that was made last."""
        self._simulator.kms("DeleteCustomKeyStore", CustomKeyStoreId=self._store)
        return f"{self._stores.pop()} is gone"

    def delete_cluster(self) -> str:
        """Delete the cluster."""
        self._simulator.manage("DELETE", "clusters", self._cluster_id)
        gone, self._cluster = self._cluster_id, None
        return f"{gone} is gone"

    def clean_up(self) -> None:
        """Delete what an interrupted walk has left, as far as that can be done."""
        while self._stores:
            with suppress(Refused, Unreachable, Unsettled):
                self.disconnect()
            try:
                self.delete_store()
            except (Refused, Unreachable):
                self._stores.pop()
        if self._cluster is not None:
            with suppress(Refused, Unreachable):
                self.delete_cluster()


def walk(tour: Tour) -> None:
    """Walk the whole life; whatever happens, clean up behind.

    Raises:
        Refused, Unreachable, Unsettled: something did not go as it should.

    """
    try:
        _live(tour)
        _fail_and_recover(tour)
        _go_external(tour)
        tour.step("delete the key store", tour.delete_store)
        tour.step("delete the cluster", tour.delete_cluster)
    finally:
        tour.clean_up()


def _live(tour: Tour) -> None:
    tour.step("create a cluster", tour.create_cluster)
    tour.step("create a key store over it", tour.create_store)
    tour.step("draw from it before it is connected", tour.draw, refused=INVALID_STATE)
    tour.step("connect it", tour.connect)
    tour.step(f"draw {SAMPLE} bytes from its HSM", tour.draw)
    tour.step("delete it while it is connected", tour.delete_store, refused=INVALID_STATE)
    tour.step("disconnect it", tour.disconnect)
    tour.step("draw again", tour.draw, refused=INVALID_STATE)


def _fail_and_recover(tour: Tour) -> None:
    tour.step("change kmsuser's password in the cluster only", tour.change_password)
    tour.step("connect with the old password", tour.connect_in_vain)
    tour.step("connect once more", tour.connect, refused=INVALID_STATE)
    tour.step("disconnect, the only way out of FAILED", tour.disconnect)
    tour.step("tell KMS the new password", tour.update_password)
    tour.step("connect it", tour.connect)
    tour.step(f"draw {SAMPLE} bytes from its HSM", tour.draw)
    tour.step("disconnect it", tour.disconnect)


def _go_external(tour: Tour) -> None:
    tour.step("create an external key store", tour.create_external_store)
    tour.step("draw from it", tour.draw, refused=UNSUPPORTED)
    tour.step("delete it", tour.delete_store)
