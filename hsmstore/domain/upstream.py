"""The other emulator, to which goes what is not this simulator's."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class UpstreamAnswer(NamedTuple):
    """What it answered. `headers` are those of the whole way, not those of one connection."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class UpstreamAway(Exception):
    """It did not answer, or not in time. `reason` is for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Upstream(Protocol):
    """Another emulator behind a URL. Safe to share between threads."""

    @property
    def url(self) -> str:
        """Where it is, without a secret."""

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> UpstreamAnswer:
        """Send a request as it came, whoever it is signed by, and return the answer as it comes.

        Raises:
            UpstreamAway: there was none.

        """

    def close(self) -> None:
        """End the connections that are kept."""
