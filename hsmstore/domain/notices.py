"""What replicas tell each other: that something in the registry has changed, and not what it is now."""

from enum import StrEnum
from typing import Final, NamedTuple


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
