"""Processes that hang: stopped, they answer nobody and close nothing."""

import os
import signal
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

STILL = frozenset("TZ")  # stopped, or ended and not yet waited for: proc_pid_stat(5), field 3


def hang(*pids: int) -> None:
    """Stop processes, and return when every thread of them stands still.

    The signal takes its time: a process that runs on another processor may answer once more behind it.
    """
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    while not all(state in STILL for pid in pids for state in _states(pid)):
        threading.Event().wait(0.001)


def members(group: int) -> Iterable[int]:
    """Return the processes of a group."""
    for entry in Path("/proc").iterdir():
        with suppress(ValueError, ProcessLookupError):  # it is no process, or has just ended
            if os.getpgid(pid := int(entry.name)) == group:
                yield pid


def _states(pid: int) -> Iterable[str]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        yield (task / "stat").read_text().rpartition(") ")[2][0]
