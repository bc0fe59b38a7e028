"""The owner of a cluster and of the key store on it, who does everything that can be done to them.

Before a request is sent, what it may bring about becomes possible; once it is answered, that is what is.
So a request that the server took to its grave leaves more than one possibility, until somebody looks.
"""

import random  # noqa: TID251  # seeded, to vary the life and not to hide anything
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hsmstore.system.clock import monotonic
from tests.crash.client import Client
from tests.crash.records import Records
from tests.crash.scene import LOOK_AGAIN, SETTLED_WITHIN, TRANSIENT, pause
from tests.load.history import Look, Move

HOUR: Final = 3600
WRONG_PASSWORD: Final = {"INVALID_CREDENTIALS", "USER_LOCKED_OUT"}


@dataclass
class Holding:
    """A cluster, and what may be true of it and of the store on it. One possibility each is certainty."""

    cluster_id: str
    anchor: str
    key_store_id: str | None = None
    names: set[str] = field(default_factory=set)
    states: set[str] = field(default_factory=set)
    fits: set[bool] = field(default_factory=set)
    doomed: bool = False

    @property
    def state(self) -> str | None:
        """The store's state where it is known, None where it is not."""
        return next(iter(self.states)) if len(self.states) == 1 else None

    def forget(self) -> None:
        """There is no store any more."""
        self.key_store_id, self.doomed = None, False
        self.names, self.states, self.fits = set(), set(), set()


class Owner(Client):
    """Acts on one holding."""

    def __init__(self, holding: Holding, records: Records, seed: str) -> None:
        super().__init__(records)
        self.holding = holding
        self._random = random.Random(seed)
        self._count = 0

    def step(self) -> None:
        """Do something that is allowed."""
        if self.holding.key_store_id is None:
            self.create()
            return
        state = self.look()
        moves = {
            "CONNECTED": [self.disconnect, self.disconnect, self.connect, self.rename, self.draw],
            "DISCONNECTED": [self.connect, self.connect, self.rename, self.repair, self.spoil, self.delete],
            "FAILED": [self.disconnect],
            "CONNECTING": [self.disconnect, self.hurry, self.hurry],
            "DISCONNECTING": [self.hurry],
        }
        self._random.choice(moves[state])()

    def create(self) -> None:
        """Create a store with a password that fits."""
        holding, password, name = self.holding, self._new_text("password"), self._new_text("store")
        self._reset(password)
        holding.names = {name}
        answer = self.kms(
            "CreateCustomKeyStore",
            CustomKeyStoreName=name,
            CloudHsmClusterId=holding.cluster_id,
            TrustAnchorCertificate=holding.anchor,
            KeyStorePassword=password,
        )
        self.adopt(answer.document["CustomKeyStoreId"])

    def adopt(self, key_store_id: str) -> None:
        """Take note of the store that was created."""
        self.holding.key_store_id = key_store_id
        self.holding.states, self.holding.fits = {"DISCONNECTED"}, {True}

    def connect(self) -> None:
        """Connect the store; whether that succeeds is a matter of the password."""
        states = self.holding.states
        if states != {"CONNECTED"}:
            states = {"CONNECTED" if fits else "FAILED" for fits in self.holding.fits}
        self._move("ConnectCustomKeyStore", states, connects=True)

    def disconnect(self) -> None:
        """Disconnect the store."""
        self._move("DisconnectCustomKeyStore", {"DISCONNECTED"}, connects=False)

    def rename(self) -> None:
        """Give the store another name."""
        name = self._new_text("renamed")
        self.holding.names = self.holding.names | {name}
        self._update(NewCustomKeyStoreName=name)
        self.holding.names = {name}

    def spoil(self) -> None:
        """Change kmsuser's password behind KMS's back."""
        self._reset(self._new_text("password"))

    def repair(self) -> None:
        """Set kmsuser's password, and tell KMS."""
        password = self._new_text("password")
        self._reset(password)
        self.holding.fits = {True, False}
        self._update(KeyStorePassword=password)
        self.holding.fits = {True}

    def delete(self) -> None:
        """Delete the store."""
        key_store_id = self._id()
        self.holding.doomed = True
        self.records.of(key_store_id).doomed_at = monotonic()
        self.kms("DeleteCustomKeyStore", CustomKeyStoreId=key_store_id)
        self.holding.forget()

    def draw(self) -> None:
        """Draw from the store, which must give bytes exactly if it is CONNECTED."""
        answer = self.try_to_draw(self._id())
        refused = "CustomKeyStoreInvalidStateException"
        assert answer.code == ("" if self.holding.state == "CONNECTED" else refused), (answer, self.holding)

    def hurry(self) -> None:
        """Let what takes its time be over."""
        self.manage("POST", "/clock/advance", Seconds=HOUR)

    def look(self) -> str:
        """Return the state that Describe shows: on the way to where it may be, or there."""
        key_store_id = self._id()
        answer = self.kms("DescribeCustomKeyStores", CustomKeyStoreId=key_store_id)
        (entry,) = answer.document["CustomKeyStores"]
        state = str(entry["ConnectionState"])
        self.records.of(key_store_id).looks.append(Look(0, answer.sent, answer.answered, state))
        assert state in TRANSIENT or state in self.holding.states, (entry, self.holding)
        assert entry["CustomKeyStoreName"] in self.holding.names, (entry, self.holding)
        if state == "FAILED":
            assert entry["ConnectionErrorCode"] in WRONG_PASSWORD, entry
        self._learn(state)
        return state

    def settle(self) -> None:
        """See that the store comes to rest, and where it may."""
        if self.look() in TRANSIENT:
            self.hurry()
        deadline = monotonic() + SETTLED_WITHIN
        while self.look() in TRANSIENT:
            assert monotonic() < deadline, f"stuck: {self.holding}"
            pause(LOOK_AGAIN)

    def take_stock(self, listed: Mapping[str, str]) -> None:
        """Compare the stores that there are, name by id, with what may be true."""
        holding = self.holding
        if holding.key_store_id is None:
            for key_store_id in (found for found, name in listed.items() if name in holding.names):
                self.adopt(key_store_id)
        elif holding.key_store_id not in listed:
            assert holding.doomed, f"lost: {holding}"
            holding.forget()
        elif holding.doomed:
            holding.doomed = False
            self.records.of(holding.key_store_id).doomed_at = float("inf")

    def require_alive(self) -> None:
        """See that the store comes to rest and gives bytes as it should; where there is none, make one."""
        if self.holding.key_store_id is None:
            self.create()
        self.settle()
        self.draw()

    def require_connectable(self) -> None:
        """See that the cluster can be disconnected and connected again; mend its password if need be."""
        if self.holding.state != "DISCONNECTED":
            self.disconnect()
            self.settle()
            self.draw()
        if self.holding.fits != {True}:
            self.repair()
        self.connect()
        self.settle()
        assert self.holding.state == "CONNECTED"
        self.draw()

    def _learn(self, state: str) -> None:
        if state in TRANSIENT:
            return
        self.holding.states = {state}
        if state in {"CONNECTED", "FAILED"}:
            self.holding.fits = {state == "CONNECTED"}

    def _move(self, operation: str, states: set[str], *, connects: bool) -> None:
        """Connect or disconnect; without an answer the store may be where it was, too."""
        moves = self.records.of(self._id()).moves
        self.holding.states = self.holding.states | states
        sent, answered = monotonic(), False
        try:
            self.kms(operation, CustomKeyStoreId=self._id())
            answered = True
        finally:
            moves.append(Move(0, sent, monotonic(), connects, answered))
        self.holding.states = states

    def _update(self, **members: str) -> None:
        self.kms("UpdateCustomKeyStore", CustomKeyStoreId=self._id(), **members)

    def _reset(self, password: str) -> None:
        self.holding.fits = self.holding.fits | {False}
        self.manage("PUT", f"/clusters/{self.holding.cluster_id}/kmsuser", Password=password)
        self.holding.fits = {False}

    def _id(self) -> str:
        assert self.holding.key_store_id is not None
        return self.holding.key_store_id

    def _new_text(self, kind: str) -> str:
        self._count += 1
        return f"{kind}{self.holding.cluster_id.removeprefix('cluster-')}{self._count}"
