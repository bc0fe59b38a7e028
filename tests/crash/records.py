"""What the clients of a dying server were answered, to be judged when all is over.

The rules are those of `tests/load/history.py`. A request that got no answer may have been served, at some
moment before its client saw the connection break: an unanswered Disconnect proves nothing, but may be the end
of what a look has proved. Later it cannot take effect, since the process is dead.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.load.history import INVALID_STATE, ONE_SERVER, Draw, Look, Move, Windows

NOT_FOUND: Final = "CustomKeyStoreNotFoundException"


@dataclass
class Store:
    """What was recorded of one key store. A move is granted where it was answered."""

    draws: list[Draw] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    doomed_at: float = float("inf")

    def while_shut(self) -> list[Draw]:
        """Return the draws that must not have given bytes."""
        disconnects = [move for move in self.moves if move.granted and not move.connects]
        closed = [look for look in self.looks if look.state in ONE_SERVER.closed_states]
        shut = Windows([*disconnects, *closed], [move for move in self.moves if move.connects])
        return [draw for draw in self.draws if shut.hold(draw)]

    def while_open(self) -> list[Draw]:
        """Return the draws that must have given bytes."""
        looks = [look for look in self.looks if look.state == "CONNECTED"]
        opened = Windows(looks, [move for move in self.moves if not move.connects])
        return [draw for draw in self.draws if opened.hold(draw)]

    def violations(self) -> Iterator[str]:
        """Yield what no right server can have answered."""
        yield from (f"shut, and gave bytes: {draw}" for draw in self.while_shut() if draw.octets)
        yield from (f"open, and gave nothing: {draw}" for draw in self.while_open() if not draw.octets)
        for draw in self.draws:
            lost = draw.code == NOT_FOUND and draw.answered < self.doomed_at
            if lost or draw.code not in {"", INVALID_STATE, NOT_FOUND}:
                yield f"refused for no reason: {draw}"


class Records:
    """Every store's records, by its id."""

    def __init__(self) -> None:
        self.stores: defaultdict[str, Store] = defaultdict(Store)
        self._guard = threading.Lock()

    def of(self, key_store_id: str) -> Store:
        """Return the store's records, to be appended to."""
        with self._guard:
            return self.stores[key_store_id]

    def violations(self) -> Iterator[str]:
        """Yield what was wrong with any store, and bytes that were given twice."""
        seen: set[bytes] = set()
        for key_store_id, store in self.stores.items():
            yield from (f"{key_store_id}: {violation}" for violation in store.violations())
            for draw in store.draws:
                if draw.octets in seen:
                    yield f"{key_store_id}: given before: {draw}"
                seen.add(draw.octets or id(draw).to_bytes(8))
