"""What the server wants to see before it serves, and whom to believe that it is the server.

Of a server on this machine both are found in the data directory; elsewhere they are others.
"""

from collections.abc import Mapping
from pathlib import Path
from ssl import SSLContext, create_default_context
from urllib.parse import urlsplit

from hsmstore.cli.options import read_text
from hsmstore.domain.door import is_loopback
from hsmstore.settings import BadSetting
from hsmstore.settings.environment import (
    CA_FILE,
    CA_VARIABLE,
    CLIENT_CERT_VARIABLE,
    DATA_DIR_VARIABLE,
    TOKEN_FILE,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
    default_data_dir,
)


def token_for(endpoint: str, file: str | None, environment: Mapping[str, str]) -> str | None:
    """Return what to show at `endpoint`: by `file`, by the environment, or as the data directory has it.

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


def context_for(
    endpoint: str, ca_file: str | None, client_cert: str | None, environment: Mapping[str, str]
) -> SSLContext | None:
    """Return how to speak HTTPS with `endpoint`; None if it is not HTTPS.

    The system's authorities are trusted, and those in `ca_file`, in AWS_CA_BUNDLE, or of the data directory.

    Raises:
        BadSetting: a file cannot be used.

    """
    if not endpoint.lower().startswith("https:"):
        return None
    context = create_default_context()
    named = ca_file or environment.get(CA_VARIABLE)
    own = _data_dir(environment) / CA_FILE if named is None and _is_here(endpoint) else None
    try:
        if named is not None or (own is not None and own.exists()):
            context.load_verify_locations(named or own)
        if certificate := client_cert or environment.get(CLIENT_CERT_VARIABLE):
            context.load_cert_chain(certificate, password="")
    except OSError as error:
        raise BadSetting(f"a certificate for {endpoint} cannot be used: {error}") from error
    return context


def _is_here(endpoint: str) -> bool:
    try:
        return is_loopback(urlsplit(endpoint).hostname or "")
    except ValueError:  # no URL: the client says so
        return False


def _of_data_dir(environment: Mapping[str, str]) -> str | None:
    try:
        return (_data_dir(environment) / TOKEN_FILE).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):  # there is none, or it is somebody else's
        return None


def _data_dir(environment: Mapping[str, str]) -> Path:
    place = environment.get(DATA_DIR_VARIABLE)
    return Path(place) if place else default_data_dir(environment)
