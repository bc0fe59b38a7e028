"""What replicas tell each other: that something in the registry has changed, and not what it is now."""

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple, Protocol


class Topic(StrEnum):
    """The kind of thing that has changed."""

    KEY_STORE = "key-store"
    CLUSTER = "cluster"
    FAULTS = "faults"
    CLOCK = "clock"
    ANYTHING = "anything"


class Notice(NamedTuple):
    """Word of a change. The id is the key store's or the cluster's; faults and clock have none."""

    topic: Topic
    id: str = ""


ANYTHING: Final = Notice(Topic.ANYTHING)
"""Notices may have been lost: whoever hears this looks at everything again."""


class Notices(Protocol):
    """What other replicas, and this one, have committed to the registry. A hint, never the truth itself."""

    def start(self, hear: Callable[[Notice], None]) -> None:
        """Call `hear` for each notice, in a thread of the notices' own and one at a time.

        Notices may come twice or be lost with the connection; after every connect, the first included,
        `hear` is called for ANYTHING. Where it raises, it is called for ANYTHING again a little later.
        """

    def stop(self) -> None:
        """End after the call under way. Idempotent."""
