"""Code that the copies of a module share.

Copies are the same bytes, and yet others to the processor: a hundred do not fit into its nearer caches, and
whoever draws from one key store after the other would run cold code each time. So all copies but the first
run the first one's pages. What a module writes to stays each copy's own.
"""

import ctypes
import mmap
import os
import threading
from collections.abc import Hashable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

MAPPINGS: Final = Path("/proc/self/maps")  # proc_pid_maps(5)
EXECUTABLE: Final = "r-xp"
PROTECTION: Final = mmap.PROT_READ | mmap.PROT_EXEC
FLAGS: Final = mmap.MAP_PRIVATE | 0x10  # MAP_FIXED of mman.h, for which Python's mmap has no name

_mmap = ctypes.CDLL(None, use_errno=True).mmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)

_firsts: Final[dict[Hashable, int]] = {}  # the open files: nobody has a name for them any more
_lock: Final = threading.Lock()


def share_code(copy: Path, version: Hashable) -> None:
    """Let a copy that has just been loaded run the code of the first of its version.

    Nobody may have called it yet. Pages that are not to the byte the first one's (a module with text
    relocations) stay as they are, as do all where the system does not tell what is mapped.

    Raises:
        OSError: the file cannot be opened or mapped.

    """
    with _lock:
        first = _firsts.get(version)
        if first is None:
            _firsts[version] = os.open(copy, os.O_RDONLY)
            return
    for start, length, offset in _code_of(copy):
        if os.pread(first, length, offset) != ctypes.string_at(start, length):
            continue
        if _mmap(start, length, PROTECTION, FLAGS, first, offset) != start:
            raise OSError(ctypes.get_errno(), "the code of a module cannot be mapped", str(copy))


def _code_of(copy: Path) -> Iterator[tuple[int, int, int]]:
    """Return the address, length and place in the file of what is mapped from it to be run."""
    with suppress(FileNotFoundError), MAPPINGS.open(errors="replace") as lines:
        for line in lines:
            if line.endswith(f"/{copy.name}\n"):
                addresses, permissions, offset, *_ = line.split(maxsplit=5)
                if permissions == EXECUTABLE:
                    start, end = (int(address, 16) for address in addresses.split("-"))
                    yield start, end - start, int(offset, 16)
