"""The operating system's random numbers."""

import os


class SystemEntropy:
    """The Entropy of the kernel's CSPRNG."""

    def random_bytes(self, length: int) -> bytes:
        """Return `length` bytes; block only while the kernel's pool has never been seeded."""
        return os.urandom(length)  # noqa: TID251  # this is the Entropy port's own adapter
