"""A Session whose PKCS#11 calls are traced. One that is not traced does not know that any could be."""

from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

from hsmstore.domain.tracing import Calling
from hsmstore.hsm.session import Session

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class TracedSession(Session):
    """A Session with a span for each call, from when the module is free for it."""

    def __init__(self, calling: Calling, *arguments: Any) -> None:
        """Take where spans begin, and what Session takes."""
        self._calling = calling
        super().__init__(*arguments)

    def set_password(self, old: str, new: str) -> None:
        """Change kmsuser's password as `Session.set_password` does."""
        with self._calling("C_SetPIN"):
            super().set_password(old, new)

    def _drawn(self, length: int) -> bytes:
        """Do what Session does, in a span."""
        with self._calling("C_GenerateRandom"):
            return super()._drawn(length)

    def _performed(
        self, name: str, function: Callable[[*Arguments], Result], *arguments: *Arguments
    ) -> Result:
        """Do what Session does, in a span."""
        with self._calling(name):
            return super()._performed(name, function, *arguments)
