"""What `doctor` asks of the HSM room: the module, and the directories of the clusters."""

import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pkcs11

from hsmstore.domain.cluster import Backup, Cluster
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.findings import Finding
from hsmstore.hsm.ckr import words
from hsmstore.hsm.directory import ADOPTED, BACKUP, BACKUPS, DISCARDED, UNFINISHED, ClusterDirectory
from hsmstore.hsm.module import MODULES, lent_module
from hsmstore.hsm.profile import load_profile


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


def inspect_directories(
    directory: Path, clusters: Collection[Cluster] | None, backups: Collection[Backup]
) -> list[Finding]:
    """Return what is wrong in the directories of clusters and backups, and which of them nobody owns.

    Without `clusters` nobody can tell who owns them, and none is called litter.
    """
    known = None if clusters is None else {c.id for c in clusters} | {b.id for b in backups}
    try:
        names = {path.name for path in directory.iterdir() if path.is_dir()} if directory.exists() else set()
        found = [finding for name in sorted(names) for finding in _look(directory / name, known)]
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


def _left_behind(path: Path) -> Finding:
    return Finding(subject=path.name, detail="left behind by a crash", mend=f"rm -r {path}")


def _look(path: Path, known: Collection[str] | None) -> Iterator[Finding]:
    if path.name.startswith((UNFINISHED, DISCARDED)):
        yield _left_behind(path)
        return
    if path.name == MODULES:
        yield from map(_left_behind, path.iterdir())  # a copy is unlinked as soon as it is loaded
        return
    if known is not None and path.name not in known and not path.name.startswith(ADOPTED):
        kind = "backup" if path.name.startswith(BACKUPS) else "cluster"
        yield Finding(subject=path.name, detail=f"belongs to no {kind} in the registry", mend=f"rm -r {path}")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding(subject=path.name, detail="others can open it", mend=f"chmod 700 {path}")
    yield from _look_at_token(ClusterDirectory(path))


def _look_at_token(home: ClusterDirectory) -> Iterator[Finding]:
    if not home.configuration.exists():
        return  # the token is not ours; only its locks are here
    name, token_object, backup = home.path.name, home.token_object(), home.path / BACKUP
    if token_object is None:
        yield Finding(
            subject=name, detail="has no token", mend=f"restore {home.path}/tokens, or delete the cluster"
        )
    elif not backup.exists():
        yield Finding(
            subject=name, detail=f"has no {BACKUP}", mend="change kmsuser's password, which writes it"
        )
    elif home.is_cut_short:
        yield Finding(
            subject=name, detail="a kill has emptied token.object", mend="connect: its copy is then put back"
        )
