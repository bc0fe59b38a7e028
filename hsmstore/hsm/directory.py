"""A cluster's directory: its token, its configuration, its locks, and the copy that survives a kill.

    <cluster-id>/
        softhsm2.conf        from softhsm/softhsm2.conf.template; written anew when the directory has moved
        tokens/<uuid>/       SoftHSM2's own: one token
        token.object.bak     token.object as it was after creation, the last login or change of the password
        kmsuser.lck          locked while kmsuser is logged in
        token.lck            locked while anybody of ours writes the token

Why the copy: SoftHSM2 2.6.1 rewrites token.object in place at each C_Login, so a kill at the wrong moment
leaves it empty, and with it the token is lost.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.hsm.tokenfile import is_whole
from hsmstore.resources import resource

CONFIGURATION: Final = "softhsm2.conf"
TOKENS: Final = "tokens"
TOKEN_OBJECT: Final = "token.object"  # noqa: S105  # a file name
BACKUP: Final = "token.object.bak"
UNFINISHED: Final = ".new-"  # a creation that a crash interrupted
ADOPTED: Final = "adopted-"  # only a lock, for a token that is elsewhere
BACKUPS: Final = "backup-"  # a copy, for a cluster to come
DISCARDED: Final = ".old-"  # a deletion that a crash interrupted


class ClusterDirectory:
    """The files of one cluster. Every method may raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    @property
    def configuration(self) -> Path:
        """The cluster's softhsm2.conf."""
        return self.path / CONFIGURATION

    @property
    def tokens(self) -> Path:
        """SoftHSM2's token directory, with one token."""
        return self.path / TOKENS

    @property
    def _backup(self) -> Path:
        return self.path / BACKUP

    def write_configuration(self, home: Path | None = None) -> None:
        """Write softhsm2.conf if it does not say what it should: the tokens are in `home`, or here.

        Raises:
            EnvironmentUnfit: SoftHSM2 cannot be told such a path.

        """
        tokens = str((home or self.path).absolute() / TOKENS)
        if "#" in tokens or "\n" in tokens:  # the configuration has no way to quote them
            raise EnvironmentUnfit(f"SoftHSM2 cannot read the path {tokens!r}", "move the data directory")
        text = resource("softhsm").joinpath("softhsm2.conf.template").read_text(encoding="utf-8")
        wanted = text.format(tokens=tokens).encode()
        if not self.configuration.exists() or self.configuration.read_bytes() != wanted:
            _write_durably(self.configuration, wanted)

    def token_object(self) -> Path | None:
        """Return the path of the token's own file, whether or not it still exists; None without a token."""
        if not self.tokens.is_dir():
            return None
        homes = sorted(path for path in self.tokens.iterdir() if path.is_dir())
        return homes[0] / TOKEN_OBJECT if homes else None

    def back_up(self) -> None:
        """Copy token.object, which must be whole."""
        token_object = self.token_object()
        if token_object is not None:
            _write_durably(self._backup, token_object.read_bytes())

    @property
    def is_cut_short(self) -> bool:
        """Whether token.object is missing or not whole. One without a token is not: it was deleted."""
        token_object = self.token_object()
        if token_object is None:
            return False
        return not (token_object.exists() and is_whole(token_object.read_bytes()))

    @property
    def has_backup(self) -> bool:
        """Whether there is a copy of token.object."""
        return self._backup.exists()

    def restore(self) -> bool:
        """Put the copy back where token.object has been cut short, and tell whether that was so.

        A token that somebody has initialised anew is whole, and stays as it is.
        """
        token_object = self.token_object()
        if token_object is None or not self.has_backup or not self.is_cut_short:
            return False
        _write_durably(token_object, self._backup.read_bytes())
        return True

    @property
    def kmsuser_lock(self) -> Path:
        """The file that is locked while kmsuser is logged in."""
        return self.path / "kmsuser.lck"

    def lock_kmsuser(self) -> IO[bytes] | None:
        """Return the locked kmsuser.lck, to be closed at the end, or None where somebody else has it."""
        file = self.kmsuser_lock.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:
            file.close()
            raise
        return file  # closing unlocks; LOCK_UN in a forked child would unlock it for the parent too

    @contextmanager
    def locked_token(self) -> Iterator[None]:
        """Keep other processes of ours from writing the token; wait until none does."""
        with (self.path / "token.lck").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def durable_objects(self) -> Iterator[None]:
        """Bring to the disk which objects are made or destroyed in the context; SoftHSM2 syncs nothing.

        It keeps others of ours from copying the token meanwhile.
        """
        token_object = self.token_object()
        if token_object is None:
            raise FileNotFoundError(f"{self.path} holds no token")
        home = token_object.parent
        with self.locked_token():
            before = set(home.iterdir())
            yield
            for path in set(home.iterdir()) - before:
                _sync(path, os.O_RDONLY)
            _sync_directory(home)

    @contextmanager
    def under_construction(self) -> Iterator["ClusterDirectory"]:
        """Give a temporary sibling to build the token in, and rename it into place at the end.

        An exception removes it; a kill leaves it for `doctor`, under a name that is no cluster's.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{self.path.name}-", dir=self.path.parent))
        try:
            temporary = ClusterDirectory(building)
            temporary.tokens.mkdir(mode=0o700)
            yield temporary
            building.rename(self.path)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
        _sync_directory(self.path.parent)

    def copy_to(self, other: "ClusterDirectory") -> None:
        """Make `other` with a copy of the token; its configuration is its own."""
        with other.under_construction() as building:
            shutil.copytree(self.tokens, building.tokens, dirs_exist_ok=True)
            building.back_up()
            building.write_configuration(other.path)

    def remove(self) -> None:
        """Rename the directory away, so that nobody finds half of it, and delete it. Idempotent."""
        with suppress(FileNotFoundError):
            doomed = Path(tempfile.mkdtemp(prefix=f"{DISCARDED}{self.path.name}-", dir=self.path.parent))
            try:
                self.path.rename(doomed)  # over an empty directory: rename(2) replaces it
            finally:
                shutil.rmtree(doomed)


def _write_durably(path: Path, content: bytes) -> None:
    """Write a file that after any crash is either the old or the new one. Mode 0600.

    Who calls has the token's lock, so that the draft which a crash leaves is overwritten by the next one.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
