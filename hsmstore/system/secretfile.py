"""Secrets that are made up once and kept in files of their own, for people and their commands to read."""

import os
import stat
from pathlib import Path
from typing import Final

from hsmstore.domain.ports import Entropy

BYTES: Final = 16  # 32 letters and digits: what a kmsuser password may be at most


def kept_secret(path: Path, entropy: Entropy) -> str:
    """Return the secret that `path` holds: 32 hexadecimal digits, made up on first use, mode 0600.

    Who calls owns the directory, so that nobody else makes up another at the same time.

    Raises:
        OSError: it cannot be read or made.

    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(entropy.random_bytes(BYTES).hex())
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    return path.read_text(encoding="ascii").strip()


def is_open_to_others(path: Path) -> bool:
    """Tell whether another user than the owner may do anything with the file."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))
