"""Programs under measurement: started, looked at through /proc, and stopped by id."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep  # noqa: TID251  # a benchmark measures time itself
from typing import Final

from hsmstore.settings.environment import PREFIX, environment

PROC: Final = Path("/proc")
ATTEMPTS: Final = 10  # at a look at processes of which some may end
TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
STOP_WITHIN: Final = 20.0  # seconds
LOOPBACK: Final = {"0100007F", "00000000"}  # as /proc/net/tcp writes 127.0.0.1 and any address
LISTENING: Final = "0A"

__all__ = ["Family", "Program", "free_port", "listening_on", "monotonic", "running", "sleep"]


class Family:
    """A process and the children that it has by now."""

    def __init__(self, pid: int) -> None:
        """Take the id of the process."""
        self.pid = pid

    def cpu(self) -> float:
        """Return the seconds of CPU that all its processes have used, those that have ended included."""
        return TICK * self._sum(lambda stat: sum(map(int, stat[11:15])))

    def rss(self) -> float:
        """Return the resident memory of all its processes, in MB."""
        page = os.sysconf("SC_PAGE_SIZE")
        return self._sum(lambda stat: int(stat[21])) * page / 1e6

    def _sum(self, figure: Callable[[list[str]], int]) -> int:
        """Add a figure up over all processes; again where one has ended, whose time is its parent's then."""
        for _ in range(ATTEMPTS):
            with suppress(FileNotFoundError, ProcessLookupError):
                return sum(figure(_stat(pid)) for pid in self._pids())
        raise RuntimeError(f"process {self.pid} has ended")

    def _pids(self) -> list[int]:
        family = [self.pid]
        for pid in family:  # grows as children are found
            for task in (PROC / str(pid) / "task").iterdir():
                with suppress(FileNotFoundError):  # a thread that has ended since
                    family += map(int, (task / "children").read_text().split())
        return family


class Program(Family):
    """A program that was started here."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """Start `command`; what it writes goes to `log`. Settings of the caller's environment stay out."""
        kept = {name: value for name, value in environment().items() if not name.startswith(PREFIX)}
        self._log = log
        with log.open("ab") as file:
            self.started = monotonic()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=kept
            )
        super().__init__(self._process.pid)

    @property
    def log(self) -> str:
        """What has been written to its log."""
        return self._log.read_text()

    def require_alive(self) -> None:
        """Fail with what the program wrote if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"it ended with {self._process.returncode}:\n{self.log}")

    def stop(self) -> None:
        """End it; what does not heed SIGTERM is killed."""
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


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


def listening_on(port: int) -> Family | None:
    """Return the process that listens on a port of 127.0.0.1, or None where it cannot be seen from here."""
    sockets = {f"socket:[{inode}]" for inode in _listeners(port)}
    seen = [int(path.name) for path in PROC.iterdir() if path.name.isdigit() and _has_open(path, sockets)]
    return Family(min(seen)) if seen else None  # the others have inherited the socket


def _listeners(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        for line in (PROC / "net" / name).read_text().splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if fields[3] == LISTENING and int(number, 16) == port and (name == "tcp6" or address in LOOPBACK):
                yield fields[9]


def _has_open(process: Path, names: set[str]) -> bool:
    try:
        return any(str(file.readlink()) in names for file in (process / "fd").iterdir())
    except OSError:  # it has ended, or is somebody else's
        return False
