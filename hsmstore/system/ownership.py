"""Who owns a data directory: one server process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hsmstore.domain.errors import EnvironmentUnfit


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Own `directory` for as long as the context lasts; make it, mode 0700, where it is missing.

    The lock is the kernel's, so a killed owner leaves none behind; the pid in the file is for people.

    Raises:
        EnvironmentUnfit: another process owns it, or it cannot be made or written.

    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
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


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
        raise EnvironmentUnfit(
            f"the data directory {directory} is owned by another server, process {pid}",
            "use that one, stop it, or choose another directory with --data-dir",
        ) from None
