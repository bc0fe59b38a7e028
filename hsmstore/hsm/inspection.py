"""What `doctor` asks of the HSM room: the module, and the directories of the clusters."""

import shutil
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import pkcs11

from hsmstore.domain.cluster import Backup, Cluster
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.findings import Finding
from hsmstore.hsm.ckr import words
from hsmstore.hsm.directory import ADOPTED, BACKUP, BACKUPS, DISCARDED, UNFINISHED, ClusterDirectory
from hsmstore.hsm.module import MODULES, lent_module
from hsmstore.hsm.profile import load_profile

LOST_AND_FOUND: Final = "lost+found"  # in the data directory: tokens that nobody in the registry owns


def inspect_module(profile_name: str, module: str | None, directory: Path) -> list[Finding]:
    """Return where the profile's module is and its version, or why it cannot be used.

    It is started without a token, from a copy written to `directory`.
    """
    subject = f"profile {profile_name}"
    try:
        profile = load_profile(profile_name)
        source = profile.locate(module)
        if not profile.creates_tokens:  # starting it would talk to somebody's HSM
            return [Finding(subject=subject, detail=f"module {source}")]
        with TemporaryDirectory() as empty, lent_module(profile, source, directory) as lent:
            examined = ClusterDirectory(Path(empty))
            examined.tokens.mkdir()
            examined.write_configuration()
            lent.initialize(profile.variables(examined.configuration))
            return [Finding(subject=subject, detail=f"module {source}, version {lent.library_version}")]
    except EnvironmentUnfit as error:
        return [Finding(subject=subject, detail=error.reason, mend=error.mend)]
    except pkcs11.PKCS11Error as error:
        return [Finding(subject=subject, detail=f"C_Initialize: {words(error)}", mend="reinstall the module")]
    except OSError as error:
        return [Finding(subject=subject, detail=str(error), mend="give this user the data directory")]


class Trouble(NamedTuple):
    """Something wrong, and what puts it right without losing anything, if that can be done here."""

    finding: Finding
    repair: Callable[[], object] | None = None
    done: str = ""

    def mended(self) -> Finding:
        """Put it right, if that can be done, and say so."""
        if self.repair is None:
            return self.finding
        self.repair()
        return replace(self.finding, detail=f"{self.finding.detail}: {self.done}", mend=None)


def inspect_directories(
    directory: Path, clusters: Collection[Cluster] | None, backups: Collection[Backup], *, fix: bool = False
) -> list[Finding]:
    """Return what is wrong in the directories of clusters and backups, and which of them nobody owns.

    Without `clusters` nobody can tell who owns them, and none is called litter. With `fix` what can be
    mended is mended first, which the finding then says.
    """
    known = None if clusters is None else {c.id for c in clusters} | {b.id for b in backups}
    try:
        names = {path.name for path in directory.iterdir() if path.is_dir()} if directory.exists() else set()
        troubles = [trouble for name in sorted(names) for trouble in _look(directory / name, known)]
        found = [trouble.mended() if fix else trouble.finding for trouble in troubles]
    except OSError as error:
        return [Finding(subject=str(directory), detail=str(error), mend="give its owner read permission")]
    lost = [
        _lost(directory / cluster.id, "cluster") for cluster in clusters or () if _is_lost(cluster, names)
    ]
    return found + lost + [_lost(directory / copy.id, "backup") for copy in backups if copy.id not in names]


def _is_lost(cluster: Cluster, names: Collection[str]) -> bool:
    ours = cluster.token is not None and load_profile(cluster.token.profile).creates_tokens
    return ours and cluster.id not in names


def _lost(path: Path, kind: str) -> Finding:
    return Finding(
        subject=path.name,
        detail="its directory is gone",
        mend=f"restore {path} from a backup, or delete the {kind}",
    )


def _left_behind(path: Path) -> Trouble:
    finding = Finding(subject=path.name, detail="left behind by a crash", mend=f"rm -r {path}")
    return Trouble(finding, lambda: shutil.rmtree(path) if path.is_dir() else path.unlink(), "removed")


def _ownerless(path: Path) -> Trouble:
    """Nobody needs it, as far as the registry knows; but a token may hold keys, so it is kept."""
    kind, away = "backup" if path.name.startswith(BACKUPS) else "cluster", path.parent.parent / LOST_AND_FOUND

    def move() -> None:
        away.mkdir(mode=0o700, exist_ok=True)
        path.rename(Path(tempfile.mkdtemp(prefix=f"{path.name}-", dir=away)))

    finding = Finding(subject=path.name, detail=f"belongs to no {kind} in the registry", mend=f"rm -r {path}")
    return Trouble(finding, move, f"moved to {away}")


def _look(path: Path, known: Collection[str] | None) -> Iterator[Trouble]:
    if path.name.startswith((UNFINISHED, DISCARDED)):
        yield _left_behind(path)
        return
    if path.name == MODULES:
        yield from map(_left_behind, path.iterdir())  # a copy is unlinked as soon as it is loaded
        return
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        finding = Finding(subject=path.name, detail="others can open it", mend=f"chmod 700 {path}")
        yield Trouble(finding, lambda: path.chmod(0o700), "closed to them")
    yield from _look_at_token(ClusterDirectory(path))
    if known is not None and path.name not in known and not path.name.startswith(ADOPTED):
        yield _ownerless(path)  # last: it is then somewhere else


def _look_at_token(home: ClusterDirectory) -> Iterator[Trouble]:
    if not home.configuration.exists():
        return  # the token is not ours; only its locks are here
    name, lost = home.path.name, f"restore {home.path}/tokens, or delete the cluster"
    if home.token_object() is None:
        yield Trouble(Finding(subject=name, detail="has no token", mend=lost))
    elif home.is_cut_short and not home.has_backup:
        yield Trouble(Finding(subject=name, detail=f"token.object is emptied, without {BACKUP}", mend=lost))
    elif home.is_cut_short:
        mend = "connect: its copy is then put back"
        finding = Finding(subject=name, detail="a kill has emptied token.object", mend=mend)
        yield Trouble(finding, home.restore, "its copy is put back")
    elif not home.has_backup:
        mend = "change kmsuser's password, which writes it"
        yield Trouble(Finding(subject=name, detail=f"has no {BACKUP}", mend=mend), home.back_up, "written")
