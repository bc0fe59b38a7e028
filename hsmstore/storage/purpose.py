"""What an engine is for."""

from enum import Enum, auto


class Purpose(Enum):
    """What an engine's transactions are for, which decides how they begin."""

    READ = auto()
    WRITE = auto()
    RENEW = auto()
    MIGRATE = auto()
    LISTEN = auto()
