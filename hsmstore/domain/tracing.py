"""What a trace is made of, where a server is traced: a span for each call, and each PKCS#11 call in it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

Calling = Callable[[str], AbstractContextManager[object]]
"""A span for the PKCS#11 call of this name; what is raised in it is its error."""


class CallSpan(Protocol):
    """A call that is being served. It may begin in one thread and end in another."""

    def current(self) -> AbstractContextManager[object]:
        """Let what is traced meanwhile in this thread be part of the call."""

    def end(self, status: int | None, outcome: str, request_id: str, *, failed: bool) -> None:
        """End it: with HTTP's status if there was an answer, and what the client was told."""


class Spans(Protocol):
    """Where spans go."""

    def serving(self, operation: str, headers: Mapping[bytes, bytes]) -> CallSpan:
        """Begin the span of a call, part of the trace that its headers name if they name one."""

    def calling(self, name: str) -> AbstractContextManager[object]:
        """Be in the span of the PKCS#11 call of this name."""

    def close(self) -> None:
        """Send what has not been sent yet."""
