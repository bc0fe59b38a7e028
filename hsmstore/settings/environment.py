"""The environment of this process, and the names of what is looked up in it.

This is the only file that reads it, or writes to it.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PREFIX: Final = "HSMSTORE_"
CONFIG_VARIABLE: Final = "HSMSTORE_CONFIG"
ENDPOINT_VARIABLE: Final = "HSMSTORE_ENDPOINT"
DEBUG_VARIABLE: Final = "HSMSTORE_DEBUG"
REGION_VARIABLES: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
CREDENTIAL_VARIABLES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
TOKEN_VARIABLE: Final = "HSMSTORE_TOKEN"  # noqa: S105  # a name
TOKEN_FILE_VARIABLE: Final = "HSMSTORE_TOKEN_FILE"  # noqa: S105  # likewise
DATA_DIR_VARIABLE: Final = "HSMSTORE_DATA_DIR"
TOKEN_FILE: Final = "management.token"  # noqa: S105  # in the data directory
CA_VARIABLE: Final = "AWS_CA_BUNDLE"
CA_FILE: Final = "tls/ca.pem"  # in the data directory
CLIENT_CERT_VARIABLE: Final = "HSMSTORE_CLIENT_CERT"
LOCAL_ENDPOINT: Final = "http://127.0.0.1:4599"


def environment() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ  # noqa: TID251 - this is the place that the ban points to


@contextmanager
def lent(variables: Mapping[str, str]) -> Iterator[None]:
    """Give this process the variables that it has not, for as long as the context lasts."""
    own = os.environ  # noqa: TID251 - likewise
    added = {name: value for name, value in variables.items() if name not in own}
    own.update(added)
    try:
        yield
    finally:
        for name in added:
            own.pop(name, None)


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Return `hsmstore` under XDG_DATA_HOME; the XDG specification says to ignore a relative one."""
    base = Path(environment.get("XDG_DATA_HOME", ""))
    if base.is_absolute():
        return base / "hsmstore"
    try:
        home = Path.home()
    except RuntimeError:  # a container's user may have none; where it matters, writing there is refused
        home = Path("/")
    return home / ".local" / "share" / "hsmstore"
