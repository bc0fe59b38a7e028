"""Build the distributions as `make dist` does, and install them where the checkout cannot be seen."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tidy import ROOT

EPOCH = "1750000000"
"""SOURCE_DATE_EPOCH of every build, in seconds."""


def kept_files() -> list[str]:
    """Return the path of every file that git tracks or would track."""
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, check=True, text=True).stdout
    return sorted(name for name in listed.split("\0") if (ROOT / name).is_file())


def check_out(to: Path) -> Path:
    """Copy what git keeps to `to`, as a fresh clone would have it, but without git."""
    for name in kept_files():
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
        target.chmod(0o755 if os.access(ROOT / name, os.X_OK) else 0o644)
    return to


class Distributions(NamedTuple):
    """A wheel and a source distribution, as files."""

    wheel: Path
    source: Path

    def wheel_names(self) -> list[str]:
        """Return the names of the files in the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.namelist()

    def source_names(self) -> list[str]:
        """Return the paths in the source distribution below its one directory."""
        with tarfile.open(self.source) as archive:
            return [name.partition("/")[2] for name in archive.getnames()]


def build(tree: Path, to: Path) -> Distributions:
    """Build both in the checkout `tree`, into the directory `to`."""
    environment = {"PATH": os.defpath, "SOURCE_DATE_EPOCH": EPOCH}
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(to)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,), (source,) = to.glob("*.whl"), to.glob("*.tar.gz")
    return Distributions(wheel, source)


class Installation(NamedTuple):
    """A virtual environment with hsmstore from a wheel, and nothing that it does not ask for."""

    path: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.path / "bin" / "python"

    @property
    def program(self) -> Path:
        """The command that a user types."""
        return self.path / "bin" / "hsmstore"

    @property
    def site(self) -> Path:
        """Its site-packages."""
        (site,) = self.path.glob("lib/python*/site-packages")
        return site

    def run(self, *command: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
        """Run a command in an environment that knows nothing of the checkout, in the directory `home`."""
        environment = {"HOME": str(home), "PATH": f"{self.path / 'bin'}:/usr/bin:/bin"}
        return subprocess.run(
            command, cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=False
        )


def install(wheel: Path, to: Path) -> Installation:
    """Install a wheel as pip does, and what it asks for from what is installed here: no network is needed.

    What is installed here is the lock's. Only what the wheel asks for, directly or not, gets in: something
    that is imported and not declared is missing there, as it would be for a user.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(to)], check=True)
    installation = Installation(to)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(installation.python)]
    no_network = ["--no-index", "--no-deps", "--quiet"]
    subprocess.run([*pip, "install", *no_network, str(wheel)], check=True, capture_output=True)
    for needed in _needs(distribution("hsmstore"), frozenset(), {}).values():
        _link(needed, installation.site)
    return installation


def wheels(to: Path) -> Path:
    """Pack what the wheel asks for, as it is installed here, into wheels again: an index of one's own."""
    to.mkdir()
    for needed in _needs(distribution("hsmstore"), frozenset(), {}).values():
        tags = re.findall(r"^Tag: (.*)-(.*)-(.*)$", needed.read_text("WHEEL") or "", re.MULTILINE)
        parts = [canonicalize_name(needed.name).replace("-", "_"), needed.version]
        parts += [".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True)]
        with zipfile.ZipFile(to / f"{'-'.join(parts)}.whl", "w") as wheel:
            for file in needed.files or ():
                if not {"..", "__pycache__"} & set(file.parts):
                    wheel.write(Path(str(file.locate())), str(file))
    return to


def pip_check(installation: Installation) -> subprocess.CompletedProcess[str]:
    """Ask pip whether everything that is asked for is there, in a version that will do."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(installation.python)]
    return subprocess.run([*pip, "check"], capture_output=True, text=True, check=False)


def _needs(
    of: Distribution, extras: frozenset[str], found: dict[str, Distribution]
) -> dict[str, Distribution]:
    """Add to `found` what a distribution asks for, and what that asks for in turn."""
    for text in of.requires or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        if wanted and requirement.name not in found:
            found[requirement.name] = distribution(requirement.name)
            _needs(found[requirement.name], frozenset(requirement.extras), found)
    return found


def _link(installed: Distribution, site: Path) -> None:
    for top in set(_tops(installed)):
        place = site / top
        if not place.is_symlink():
            place.symlink_to(Path(str(installed.locate_file(top))))


def _tops(installed: Distribution) -> Iterator[str]:
    """Yield the names in site-packages that a distribution has brought."""
    for file in installed.files or ():
        if file.parts[0] not in ("..", "__pycache__"):
            yield file.parts[0]
