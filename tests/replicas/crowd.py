"""Clients of several replicas, some of which may not be there, and what they were answered."""

import base64
import random  # noqa: TID251  # seeded, to vary the moves and not to hide anything
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from tests.load.drawing import LENGTH, Draws
from tests.load.history import INVALID_STATE, REPLICAS, Draw, Look, Move
from tests.load.keepalive import Exchange, KeepAlive, kms_request

NEVER: Final = float("inf")
PAUSE: Final = 0.01  # seconds that a client waits before it tries a replica again that is not there


class Client(threading.Thread):
    """Takes step after step, each with another replica, until it is told to stop."""

    def __init__(self, ports: Sequence[int], key_store_ids: Sequence[str], seed: int) -> None:
        super().__init__(name=f"{type(self).__name__} {seed}")
        self.failure: BaseException | None = None
        self.ids = key_store_ids
        self.random = random.Random(seed)
        self._ports = ports
        self._connections: list[KeepAlive] = []
        self._stopping = threading.Event()

    def run(self) -> None:
        """Take steps."""
        try:
            with ExitStack() as stack:
                self._connections = [stack.enter_context(KeepAlive(port)) for port in self._ports]
                while not self._stopping.is_set():
                    self.step()
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            self.failure = error

    def stop(self) -> None:
        """End after the step under way."""
        self._stopping.set()
        self.join()

    def step(self) -> None:
        """Do what comes next."""
        raise NotImplementedError

    def ask(self, operation: str, **members: object) -> Exchange | None:
        """Ask any replica; None stands for one that is not there, or went without an answer."""
        try:
            return self.random.choice(self._connections).exchange(kms_request(operation, members))
        except OSError:
            self._stopping.wait(PAUSE)
            return None


class Drawer(Client):
    """Draws from all stores."""

    def __init__(self, ports: Sequence[int], key_store_ids: Sequence[str], seed: int) -> None:
        super().__init__(ports, key_store_ids, seed)
        self.draws = Draws()

    def step(self) -> None:
        """Draw once."""
        store = self.random.randrange(len(self.ids))
        exchange = self.ask("GenerateRandom", CustomKeyStoreId=self.ids[store], NumberOfBytes=LENGTH)
        if exchange is None:
            return
        code = exchange.code
        octets = b"" if code else base64.b64decode(exchange.document["Plaintext"])
        assert len(octets) == (0 if code else LENGTH), exchange
        self.draws.add(Draw(store, exchange.sent, exchange.answered, octets, code))


class Mover(Client):
    """Disconnects a store and waits until it is, connects it and waits until it is: one mover to a store."""

    def __init__(
        self, ports: Sequence[int], key_store_ids: Sequence[str], store: int, now: Callable[[], float]
    ) -> None:
        super().__init__(ports, key_store_ids, store)
        self.moves: list[Move] = []
        self.looks: list[Look] = []
        self._store = store
        self._now = now

    def step(self) -> None:
        """Move the store to and fro."""
        self._to("DisconnectCustomKeyStore", "DISCONNECTED")
        self._stopping.wait(self.random.choice([0.0, 0.1]))
        self._to("ConnectCustomKeyStore", "CONNECTED")
        self._stopping.wait(self.random.choice([0.0, 0.02, 0.1, 1.0, 3.0]))

    def _to(self, operation: str, state: str) -> None:
        """Ask for the move until the store is where it leads to; every answer is kept."""
        connects = state == "CONNECTED"
        while not self._stopping.is_set():
            sent = self._now()
            exchange = self.ask(operation, CustomKeyStoreId=self.ids[self._store])
            if exchange is None:  # it may be done, and when is not known
                self.moves.append(Move(self._store, sent, NEVER, connects))
            else:
                assert exchange.code in {"", INVALID_STATE, *REPLICAS.hiccups}, exchange
                granted = exchange.code != INVALID_STATE
                answered = exchange.answered if exchange.code in {"", INVALID_STATE} else NEVER
                self.moves.append(Move(self._store, sent, answered, connects, granted))
            seen = self._settled()
            if seen == state:
                return
            if seen == "FAILED" and connects:  # from there only a disconnect leads on
                self._to("DisconnectCustomKeyStore", "DISCONNECTED")

    def _settled(self) -> str:
        """Look until the store is in a state that only another move leads out of; return it."""
        while not self._stopping.is_set():
            look = self.ask("DescribeCustomKeyStores", CustomKeyStoreId=self.ids[self._store])
            if look is None or look.code:
                continue
            (entry,) = look.document["CustomKeyStores"]
            seen = str(entry["ConnectionState"])
            self.looks.append(Look(self._store, look.sent, look.answered, seen))
            if seen in {"CONNECTED", "DISCONNECTED", "FAILED"}:
                return seen
        return ""
