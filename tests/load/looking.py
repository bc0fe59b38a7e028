"""What can be seen of a running server from outside, and waiting until it is seen."""

import re
import time  # noqa: TID251  # to wait for what the server does in its own time
from collections.abc import Callable
from pathlib import Path

from tests.server import Server

PATIENCE = 60.0  # seconds


def comes_true(condition: Callable[[], bool]) -> bool:
    """Wait until it holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def under_way(server: Server) -> float:
    """Return how many calls are in the server's threads or wait for one."""
    text = server.request("GET", "/_hsmstore/metrics").body.decode()
    (found,) = re.findall(r'^hsmstore_waiting_calls\{threads="calls"\} (\S+)$', text, re.MULTILINE)
    return float(found)


def resident(server: Server) -> int:
    """Return how much of the server is in memory, in KiB."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])
