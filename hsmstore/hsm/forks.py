"""Whether this is the process that something was opened in.

A forked child shares the token and not the module's state, so it must not use what its parent opened. Asking
the system for the process's id each time is a tenth of a draw; being told of a fork costs nothing.
"""

import os


class Process:
    """The process that this is: `CURRENT.number` is another in a forked child."""

    def __init__(self) -> None:
        """Begin to count."""
        self.number = 0
        os.register_at_fork(after_in_child=self._count)

    def _count(self) -> None:
        self.number += 1


CURRENT = Process()
