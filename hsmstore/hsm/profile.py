"""Profiles: what hsmstore must know of a PKCS#11 module. One TOML file each, in `softhsm/`."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.resources import resource

_P11_KIT_MODULES: Final = Path("/usr/share/p11-kit/modules")
_MODULE_LINE: Final = re.compile(r"^module:\s*(/\S.*?)\s*$", re.MULTILINE)


class Install(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to type to get the module; empty where nobody packages it."""

    apt: str
    dnf: str
    brew: str

    def hint(self) -> str:
        """Return the commands in one line."""
        commands = {"Debian, Ubuntu": self.apt, "Fedora, RHEL": self.dnf, "macOS": self.brew}
        return "; ".join(f"{system}: {command}" for system, command in commands.items() if command)


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One module: where it lies, what it reads, what it can do.

    `modules` are paths or glob patterns in order of preference; `p11_kit_module` names the file in
    p11-kit's module directory that is asked last. `environment` is set round each C_Initialize, with
    `{conf}` for the cluster's softhsm2.conf; `reads_environment` names variables that the module takes from
    the server's own environment, and `address_variable` the one of them that a copy reads when it is loaded,
    so that it can be given its cluster's own address. With `private_copy` each connected cluster has a byte
    copy of the module; without it the module serves one cluster at a time. Calls of a `networked` module have
    a deadline.
    """

    name: str
    description: str
    modules: tuple[str, ...]
    creates_tokens: bool
    private_copy: bool
    networked: bool
    install: Install
    p11_kit_module: str | None = None
    environment: dict[str, str] = {}
    reads_environment: tuple[str, ...] = ()
    address_variable: str | None = None
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a combination that would let a hung HSM hold up the others."""
        if self.networked and self.environment:
            # The environment is the process's: it is set under a lock, which a hanging C_Initialize keeps.
            raise ValueError("`networked` modules cannot have an `environment`")
        if self.address_variable and not self.private_copy:
            raise ValueError("`address_variable` needs a `private_copy` for each address")

    def locate(self, module: str | None = None) -> Path:
        """Return the path of the module: `module` where it is given, else the first that exists.

        Raises:
            EnvironmentUnfit: there is none.

        """
        if module is not None:
            if Path(module).is_file():
                return Path(module)
            raise EnvironmentUnfit(f"PKCS#11 module {module} is not there", self._mend())
        found = next((path for path in self._candidates() if path.is_file()), None)
        if found is None:
            raise EnvironmentUnfit(f"No PKCS#11 module for profile {self.name}", self._mend())
        return found

    def variables(self, configuration: Path | None) -> dict[str, str]:
        """Return the environment for C_Initialize, given the path of the cluster's softhsm2.conf."""
        conf = "" if configuration is None else str(configuration.absolute())
        return {name: value.format(conf=conf) for name, value in self.environment.items()}

    def address(self, address: str | None) -> dict[str, str]:
        """Return the environment for loading a copy that is to talk to `address`, or to the default one."""
        return {} if address is None or self.address_variable is None else {self.address_variable: address}

    def _candidates(self) -> Iterator[Path]:
        for pattern in self.modules:
            yield from sorted(Path("/").glob(pattern.removeprefix("/")))
        if self.p11_kit_module is not None and (file := _P11_KIT_MODULES / self.p11_kit_module).is_file():
            yield from map(Path, _MODULE_LINE.findall(file.read_text(encoding="utf-8")))

    def _mend(self) -> str:
        return f"{self.install.hint()}; or set the path of the module"


def load_profile(name: str) -> Profile:
    """Return the profile in `softhsm/<name>.toml`.

    Raises:
        EnvironmentUnfit: no such profile, or the file is not one; the reason names file and key.

    """
    directory = resource("softhsm")
    names = sorted(path.stem for path in directory.glob("*.toml"))
    if name not in names:  # also keeps a name such as ../x inside the directory
        raise EnvironmentUnfit(f"No PKCS#11 profile {name!r}", f"choose one of {', '.join(names)}")
    return read_profile(directory / f"{name}.toml")


def read_profile(path: Path) -> Profile:
    """Return the profile in the file `path`.

    Raises:
        EnvironmentUnfit: it is not one; the reason names file and key.

    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert({**values, "name": path.stem}, Profile)
    except (OSError, ValueError) as error:  # both libraries' errors are ValueErrors
        raise EnvironmentUnfit(f"{path}: {error}", "mend the file, or reinstall hsmstore") from error
