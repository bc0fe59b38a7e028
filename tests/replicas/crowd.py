"""Clients of several replicas, some of which may not be there, and what they were answered."""

import base64
import random  # noqa: TID251  # seeded, to vary the moves and not to hide anything
import threading
from collections.abc import Callable, Sequence
from typing import Final

from tests.load.drawing import LENGTH, Draws
from tests.load.history import INVALID_STATE, REPLICAS, Draw, Look, Move
from tests.load.keepalive import Exchange, KeepAlive, kms_request

NEVER: Final = float("inf")
PAUSE: Final = 0.01  # seconds that a client waits before it tries a replica again that is not there


Ports = Callable[[], Sequence[int]]
"""Where the replicas listen that are asked for now."""


class Client(threading.Thread):
    """Takes step after step, each with another replica, until it is told to stop."""

    def __init__(self, ports: Ports, key_store_ids: Sequence[str], seed: int) -> None:
        super().__init__(name=f"{type(self).__name__} {seed}")
        self.failure: BaseException | None = None
        self.ids = key_store_ids
        self.random = random.Random(seed)
        self._ports = ports
        self._connections: dict[int, KeepAlive] = {}
        self._stopping = threading.Event()

    def run(self) -> None:
        """Take steps."""
        try:
            while not self._stopping.is_set():
                self.step()
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            self.failure = error
        for connection in self._connections.values():
            connection.close()

    def stop(self) -> None:
        """End after the step under way."""
        self._stopping.set()
        self.join()

    def step(self) -> None:
        """Do what comes next."""
        raise NotImplementedError

    def ask(self, operation: str, **members: object) -> Exchange | None:
        """Ask any replica; None stands for one that is not there, or was killed before its answer."""
        port = self.random.choice(self._ports())
        try:
            connection = self._connections.setdefault(port, KeepAlive(port))
            return connection.exchange(kms_request(operation, members))
        except ConnectionError:
            self._stopping.wait(PAUSE)
            return None


class Drawer(Client):
    """Draws from all stores."""

    def __init__(self, ports: Ports, key_store_ids: Sequence[str], seed: int) -> None:
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
        self, ports: Ports, key_store_ids: Sequence[str], store: int, now: Callable[[], float]
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
                if not exchange.code:
                    self._date_moves(exchange.answered)
            seen = self._settled()
            has_failed = connects and seen == "FAILED"
            if seen == state or has_failed:
                self._date_moves(self.looks[-1].answered)
            if has_failed:  # from there only a disconnect leads on
                self._to("DisconnectCustomKeyStore", "DISCONNECTED")
            if seen == state:
                return

    def _date_moves(self, done: float) -> None:
        """Note that what was not answered happened before this, or never does: a move is known to be done.

        Nobody goes on with it: its replica is dead, or has answered that it failed. And had it been about to
        commit still, it would find the row changed by the move that was granted, or whose end was seen.
        """
        self.moves = [move._replace(answered=min(move.answered, done)) for move in self.moves]

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
