"""How long connecting and disconnecting take.

`aws` is what the documentation says: up to 20 minutes for a CloudHSM key store to connect, about 5 minutes
for an external one to connect or disconnect. It gives no time for a CloudHSM key store to disconnect; we
take the same 5 minutes. `lifelike` is short enough to watch and long enough that clients must poll.
`instant` is for tests.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from hsmstore.domain.keystore import KeyStoreType


class Profile(StrEnum):
    """The pace of the simulation."""

    INSTANT = "instant"
    LIFELIKE = "lifelike"
    AWS = "aws"


class Phases(NamedTuple):
    """Durations in seconds."""

    connect: float
    disconnect: float


PHASES: Final[Mapping[tuple[Profile, KeyStoreType], Phases]] = MappingProxyType(
    {
        (Profile.INSTANT, KeyStoreType.AWS_CLOUDHSM): Phases(connect=0, disconnect=0),
        (Profile.INSTANT, KeyStoreType.EXTERNAL_KEY_STORE): Phases(connect=0, disconnect=0),
        (Profile.LIFELIKE, KeyStoreType.AWS_CLOUDHSM): Phases(connect=1.0, disconnect=0.5),
        (Profile.LIFELIKE, KeyStoreType.EXTERNAL_KEY_STORE): Phases(connect=1.0, disconnect=0.5),
        (Profile.AWS, KeyStoreType.AWS_CLOUDHSM): Phases(connect=1200, disconnect=300),
        (Profile.AWS, KeyStoreType.EXTERNAL_KEY_STORE): Phases(connect=300, disconnect=300),
    }
)
