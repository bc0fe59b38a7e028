"""The operating system's random numbers."""

import os
import random  # noqa: TID251  # this is the Entropy port's own adapter


class SystemEntropy:
    """The Entropy of the kernel's CSPRNG."""

    def __init__(self) -> None:
        # Seeded by the kernel. It makes no system call, and so never lets go of the interpreter.
        self._public = random.Random(os.urandom(32))  # noqa: S311, TID251  # names only, never secrets

    def random_bytes(self, length: int) -> bytes:
        """Return `length` bytes from the operating system's CSPRNG."""
        return os.urandom(length)  # noqa: TID251  # this is the Entropy port's own adapter

    def public_bits(self, count: int) -> int:
        """Return `count` random bits for a name that is no secret; one step of C, safe between threads."""
        return self._public.getrandbits(count)
