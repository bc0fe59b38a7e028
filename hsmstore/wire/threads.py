"""Threads for calls that wait, with a bounded queue in front of them."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

Call = Callable[[], None]

QUEUE_MAX: Final = 1024
"""Calls under way and waiting. Beyond it a client is better served by a refusal that it can retry."""


class Threads:
    """A few daemon threads: a call that hangs in an HSM must not keep the process from ending."""

    def __init__(self, count: int, name: str) -> None:
        """Start `count` threads."""
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._count = count
        self._owed = 0
        self._lock = threading.Lock()
        for number in range(count):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def submit(self, call: Call) -> bool:
        """Have `call`, which raises nothing, made in its turn; return False when the queue is full."""
        with self._lock:
            if self._owed >= QUEUE_MAX:
                return False
            self._owed += 1
        self._calls.put(call)
        return True

    @property
    def owed(self) -> int:
        """How many calls are under way and waiting."""
        return self._owed

    def end(self) -> None:
        """End each thread after the calls that came before."""
        for _ in range(self._count):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            with self._lock:
                self._owed -= 1
            del call  # or the last call's result would live until the next
