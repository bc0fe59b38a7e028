"""Killing this process at a named instant, for the tests of recovery."""

import os
import signal
from collections.abc import Callable

from hsmstore.domain.checkpoints import Checkpoint


def checkpoint(fatal: Checkpoint | None) -> Callable[[Checkpoint], None]:
    """Return what the services tell each checkpoint to; it kills the process at `fatal`, if there is one."""

    def pass_by(reached: Checkpoint) -> None:
        if reached is fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_by
