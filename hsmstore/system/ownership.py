"""Who owns a data directory: one server process at a time."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hsmstore.domain.errors import EnvironmentUnfit

LOCK: Final = "owner.lock"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")  # Linux's own; nobody else has one


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Own `directory` for as long as the context lasts; make it, mode 0700, where it is missing.

    The lock is the kernel's, so a killed owner leaves none behind; the pid in the file is for people.

    Raises:
        EnvironmentUnfit: another process owns it, or it cannot be made or written.

    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EnvironmentUnfit(
            f"the data directory {directory} cannot be used: {error.strerror}",
            "make it writable for this user, or choose another with --data-dir",
        ) from error
    try:
        _lock(descriptor, directory)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def place_of(directory: Path) -> str:
    """Name the place that `owned` gives to one process at a time; empty where none can be named for certain.

    It is the lock's file on this start of this machine. A copy of the directory is another place, and so is
    the same directory seen from another machine, where the lock may not be.
    """
    try:
        started = _BOOT_ID.read_text(encoding="ascii")
        status = (directory / LOCK).stat()
    except OSError:
        return ""
    return hashlib.blake2b(f"{started}/{status.st_dev}/{status.st_ino}".encode(), digest_size=8).hexdigest()


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        raise EnvironmentUnfit(
            f"the data directory {directory} is owned by another server, process {pid}",
            "use that one, stop it, or choose another directory with --data-dir",
        ) from None
