"""Programs under measurement: started, looked at through /proc, and stopped by id."""

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep  # noqa: TID251  # a benchmark measures time itself
from typing import Final

from hsmstore.settings import PREFIX, environment

PROC: Final = Path("/proc")
TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
STOP_WITHIN: Final = 20.0  # seconds

__all__ = ["Program", "free_port", "monotonic", "running", "sleep"]


class Program:
    """A process and the children that it has by now."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """Start `command`; what it writes goes to `log`. Settings of the caller's environment stay out."""
        kept = {name: value for name, value in environment().items() if not name.startswith(PREFIX)}
        self._log = log
        with log.open("ab") as file:
            self.started = monotonic()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=kept
            )

    def require_alive(self) -> None:
        """Fail with what the program wrote if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended with {self._process.returncode}:\n{self._log.read_text()}")

    def cpu(self) -> float:
        """Return the seconds of CPU that all its processes have used, those that have ended included."""
        return TICK * sum(sum(map(int, _stat(pid)[11:15])) for pid in self._pids())

    def rss(self) -> float:
        """Return the resident memory of all its processes, in MB."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(_stat(pid)[21]) for pid in self._pids()) * page / 1e6

    def stop(self) -> None:
        """End it; what does not heed SIGTERM is killed."""
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _pids(self) -> list[int]:
        family = [self._process.pid]
        for pid in family:  # grows as children are found
            for task in (PROC / str(pid) / "task").iterdir():
                with suppress(FileNotFoundError):  # a thread that has ended since
                    family += map(int, (task / "children").read_text().split())
        return family


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the third on: the second, the name, may hold blanks."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[Program]:
    """Run `command` for as long as the context lasts."""
    program = Program(command, log)
    try:
        yield program
    finally:
        program.stop()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
