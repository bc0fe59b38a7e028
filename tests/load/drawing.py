"""Threads that draw, threads that connect and disconnect meanwhile, and what they record."""

import base64
import random  # noqa: TID251  # seeded, to vary the moves and not to hide anything
import threading
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from tests.load.history import Draw, Look, Move
from tests.load.keepalive import KeepAlive, kms_request

LENGTH: Final = 32
OPEN_FOR: Final = 0.05  # seconds that a store is left open between two moves
SHUT_FOR: Final = 0.01


@dataclass
class Draws:
    """Draws in columns: a million of them as objects would outweigh the server."""

    stores: "array[int]" = field(default_factory=lambda: array("B"))
    sent: "array[float]" = field(default_factory=lambda: array("d"))
    answered: "array[float]" = field(default_factory=lambda: array("d"))
    codes: list[str] = field(default_factory=list)
    octets: bytearray = field(default_factory=bytearray)

    def add(self, draw: Draw) -> None:
        """Append a draw; a code is kept once, and of a refused draw no bytes."""
        self.stores.append(draw.store)
        self.sent.append(draw.sent)
        self.answered.append(draw.answered)
        self.codes.append(draw.code)
        self.octets += draw.octets

    def __iter__(self) -> Iterator[Draw]:
        start = 0
        for store, sent, answered, code in zip(
            self.stores, self.sent, self.answered, self.codes, strict=True
        ):
            end = start if code else start + LENGTH
            yield Draw(store, sent, answered, bytes(self.octets[start:end]), code)
            start = end


def draw_many(port: int, key_store_ids: Sequence[str], wanted: int, threads: int) -> Draws:
    """Draw from all stores in turn with so many threads until `wanted` draws have given bytes."""
    share = -(-wanted // threads)
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda first: _draw(port, key_store_ids, share, first), range(threads)))
    whole = parts[0]
    for part in parts[1:]:
        whole.stores += part.stores
        whole.sent += part.sent
        whole.answered += part.answered
        whole.codes += part.codes
        whole.octets += part.octets
    return whole


def _draw(port: int, key_store_ids: Sequence[str], wanted: int, first: int) -> Draws:
    requests = [
        kms_request("GenerateRandom", {"CustomKeyStoreId": key_store_id, "NumberOfBytes": LENGTH})
        for key_store_id in key_store_ids
    ]
    draws = Draws()
    turn = first
    with KeepAlive(port) as connection:
        while len(draws.octets) < wanted * LENGTH:
            turn += 1
            store = turn % len(requests)
            exchange = connection.exchange(requests[store])
            code = exchange.code
            octets = b"" if code else base64.b64decode(exchange.document["Plaintext"])
            assert len(octets) == (0 if code else LENGTH), exchange
            draws.add(Draw(store, exchange.sent, exchange.answered, octets, code))
    return draws


class Mover(threading.Thread):
    """Connects and disconnects stores at random, and looks after each move; at the end all are connected."""

    def __init__(self, port: int, key_store_ids: Sequence[str], seed: int, done: threading.Event) -> None:
        super().__init__(name=f"mover {seed}")
        self.moves: list[Move] = []
        self.looks: list[Look] = []
        self.failure: BaseException | None = None
        self._connection = KeepAlive(port)
        self._ids = key_store_ids
        self._random = random.Random(seed)
        self._done = done

    def run(self) -> None:
        """Move until it is done."""
        with self._connection:
            try:
                while not self._done.wait(OPEN_FOR):
                    store = self._random.randrange(len(self._ids))
                    self._move(store, connects=False)
                    self._done.wait(self._random.choice([0, SHUT_FOR]))
                    self._move(store, connects=True)
            except BaseException as error:  # noqa: BLE001  # the test looks at it
                self.failure = error

    def _move(self, store: int, *, connects: bool) -> None:
        member = {"CustomKeyStoreId": self._ids[store]}
        operation = "ConnectCustomKeyStore" if connects else "DisconnectCustomKeyStore"
        exchange = self._connection.exchange(kms_request(operation, member))
        assert exchange.code in {"", "CustomKeyStoreInvalidStateException"}, exchange
        self.moves.append(Move(store, exchange.sent, exchange.answered, connects, not exchange.code))
        look = self._connection.exchange(kms_request("DescribeCustomKeyStores", member))
        (entry,) = look.document["CustomKeyStores"]
        self.looks.append(Look(store, look.sent, look.answered, entry["ConnectionState"]))
