"""The socket on which a copy of p11-kit's client talks to its server: found, so that it can be cut.

A call to a server that does not answer cannot be stopped from outside, but it ends at once with
CKR_DEVICE_ERROR when its connection is shut down. The module does not tell its socket; so what is connected
to the server's address is looked at before and after C_Initialize, one copy at a time for each address.
"""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from hsmstore.domain.ports import HsmTimedOut

SCHEME: Final = "unix:path="
DESCRIPTORS: Final = Path("/dev/fd")

_turns: dict[str, threading.Lock] = {}
_turns_guard: Final = threading.Lock()
# Descriptors belong to the process, whichever of its simulators opened them.


class Line:
    """One copy's connection to `address`. Safe to share between threads."""

    def __init__(self, address: str | None, patience: float) -> None:
        """Take the address as the module reads it; `patience` is for others who connect there, in seconds."""
        self.address: Final = address
        known = address is not None and address.startswith(SCHEME)
        self._path = unquote(str(address).removeprefix(SCHEME)) if known else None
        self._patience = patience
        self._guard = threading.Lock()
        self._before: frozenset[int] | None = None  # while it is being opened
        self._ours: list[socket.socket] = []
        self.is_cut = False

    @property
    def is_known(self) -> bool:
        """Whether it has been found, and so can be cut."""
        return bool(self._ours)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Find what C_Initialize opens within this context. It need not open anything.

        Raises:
            HsmTimedOut: somebody else's is not answered.

        """
        if self._path is None:
            yield
            return
        with _turns_guard:
            turn = _turns.setdefault(self._path, threading.Lock())
        if not turn.acquire(timeout=self._patience):
            raise HsmTimedOut(f"another connection to {self._path} is not answered")
        try:
            with self._guard:
                self._before = _inodes(self._path)
            yield
            with self._guard:
                self._find()
        finally:
            self._before = None
            turn.release()

    def cut(self) -> None:
        """Shut the connection down, which ends the call under way. Idempotent."""
        with self._guard:
            self._find()
            self.is_cut = True
            for connection in self._ours:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection, which is the module's to close. Idempotent."""
        with self._guard:
            for connection in self._ours:
                connection.close()
            self._ours.clear()

    def _find(self) -> None:
        if self._before is not None and self._path is not None:
            for inode, connection in _connections(self._path).items():
                if inode in self._before:
                    connection.close()
                else:
                    self._ours.append(connection)
            self._before = None


def _connections(path: str) -> dict[int, socket.socket]:
    """Return duplicates of this process's connections to the Unix socket `path`, by inode."""
    found: dict[int, socket.socket] = {}
    for descriptor in DESCRIPTORS.iterdir():
        with suppress(OSError):  # closed meanwhile, no socket, or not connected
            connection = _socket(os.dup(int(descriptor.name)))
            inode = os.fstat(connection.fileno()).st_ino
            if inode not in found and _leads_to(connection, path):
                found[inode] = connection
            else:
                connection.close()
    return found


def _inodes(path: str) -> frozenset[int]:
    connections = _connections(path)
    for connection in connections.values():
        connection.close()
    return frozenset(connections)


def _socket(descriptor: int) -> socket.socket:
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        raise


def _leads_to(connection: socket.socket, path: str) -> bool:
    try:
        return bool(connection.getpeername() == path)
    except OSError:  # not connected
        return False
