"""Which call is being served, for whoever tells of it: what is logged meanwhile carries its id."""

from contextvars import ContextVar
from typing import Final, NamedTuple


class Serving(NamedTuple):
    """A call, as far as it is understood: what is not known of it is empty."""

    request_id: str
    operation: str = ""
    account: str = ""


SERVING: Final[ContextVar[Serving | None]] = ContextVar("serving", default=None)
"""The call of this context. A thread gives each call a context of its own, so that nobody has to reset it."""
