"""A session of kmsuser that is not KMS's: another process that holds the cluster's kmsuser lock.

The process ends with ours: it waits on a pipe that the kernel closes, however we end.
"""

import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from hsmstore.domain.ports import HsmUnavailable

_HOLD: Final = """
import fcntl, sys
with open(sys.argv[1], "ab") as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("busy")
    print("held", flush=True)
    sys.stdin.read()
"""


class SessionsElsewhere:
    """The processes that hold kmsuser's lock, by cluster. Safe to share between threads."""

    def __init__(self) -> None:
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._guard = threading.Lock()

    def log_in(self, cluster_id: str, lock: Path) -> None:
        """Start a process that holds `lock`; nothing to do where one does.

        Raises:
            HsmUnavailable: somebody else holds it, or the process cannot be started.

        """
        with self._guard:
            holder = self._holders.get(cluster_id)
            if holder is None or holder.poll() is not None:
                self._holders[cluster_id] = _hold(lock)

    def log_out(self, cluster_id: str) -> None:
        """End the cluster's process. Idempotent."""
        with self._guard:
            holder = self._holders.pop(cluster_id, None)
        if holder is not None:
            holder.communicate()  # closes its input and waits

    def close(self) -> None:
        """End them all."""
        for cluster_id in list(self._holders):
            self.log_out(cluster_id)


def _hold(lock: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-I", "-S", "-c", _HOLD, str(lock)]
    holder = subprocess.Popen(  # noqa: S603  # our own interpreter and our own text
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert holder.stdout is not None  # noqa: S101  # it is a pipe
    if holder.stdout.readline() != b"held\n":
        holder.communicate()
        raise HsmUnavailable("kmsuser is logged in already")
    return holder
