"""Rounds: requests that have come together are served together, and answered after that.

Sent one by one, each answer would wake a client that has just gone to sleep, which costs more than a draw;
and what a call needs would have left the processor's caches by the next.
"""

from collections.abc import Callable
from typing import Final

from hsmstore.wire.http import Connection

ROUND_MAX: Final = 64  # requests: the first answer of a round waits for the last


class Rounds:
    """The connections whose requests wait for the next round. All of it runs in the loop's thread."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """Take what calls a function when the loop has read what there was to read."""
        self._call_soon = call_soon
        self._arrived: list[Connection] = []

    def arrived(self, connection: Connection) -> None:
        """Take a connection into the next round. It is never served in here: rounds would nest in rounds."""
        if not self._arrived:
            self._call_soon(self._serve)
        self._arrived.append(connection)

    def _serve(self) -> None:
        arrived, self._arrived = self._arrived, []
        for first in range(0, len(arrived), ROUND_MAX):
            together = arrived[first : first + ROUND_MAX]
            for connection in together:
                connection.serve()
            for connection in together:
                connection.send()
