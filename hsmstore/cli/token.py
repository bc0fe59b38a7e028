"""The token of the management API, as commands find it."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hsmstore.cli.options import read_text
from hsmstore.domain.door import is_loopback
from hsmstore.settings.environment import (
    DATA_DIR_VARIABLE,
    TOKEN_FILE,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
    default_data_dir,
)


def token_for(endpoint: str, file: str | None, environment: Mapping[str, str]) -> str | None:
    """Return what to show at `endpoint`: by `file`, by the environment, or as the data directory has it.

    The data directory is looked at for a simulator on this machine only; elsewhere the token is another.

    Raises:
        BadSetting: a file that is named cannot be read.

    """
    if file is not None:
        return read_text("--token-file", Path(file)).strip()
    if TOKEN_VARIABLE in environment:
        return environment[TOKEN_VARIABLE]
    if TOKEN_FILE_VARIABLE in environment:
        return read_text(TOKEN_FILE_VARIABLE, Path(environment[TOKEN_FILE_VARIABLE])).strip()
    return _of_data_dir(environment) if _is_here(endpoint) else None


def _is_here(endpoint: str) -> bool:
    try:
        return is_loopback(urlsplit(endpoint).hostname or "")
    except ValueError:  # no URL: the client says so
        return False


def _of_data_dir(environment: Mapping[str, str]) -> str | None:
    place = environment.get(DATA_DIR_VARIABLE)
    directory = Path(place).expanduser() if place else default_data_dir(environment)
    try:
        return (directory / TOKEN_FILE).read_text(encoding="ascii").strip() or None
    except (OSError, RuntimeError, UnicodeDecodeError):  # there is none, or it is somebody else's
        return None
