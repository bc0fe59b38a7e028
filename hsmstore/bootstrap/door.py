"""The door of a server, from settings: who needs a token, and which."""

import logging
from pathlib import Path
from typing import Final

from hsmstore.domain.door import Guard, is_loopback
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.settings.fields import Settings
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.secretfile import is_open_to_others, kept_secret

log = logging.getLogger(__name__)

TOKEN_MIN: Final = 16  # characters: what nobody guesses over a network


def open_guard(settings: Settings) -> Guard:
    """Return the guard of the management API; the token is made on the first start.

    Raises:
        EnvironmentUnfit: the token's file cannot be used.

    """
    trusts_local = settings.trust_local and is_loopback(settings.host)
    return Guard(management_token(settings), trusts_local=trusts_local)


def management_token(settings: Settings) -> str:
    """Return the token of the management API.

    Raises:
        EnvironmentUnfit: its file cannot be read or made, or what it holds is too short.

    """
    file = settings.management_token_file
    try:
        token = kept_secret(file, SystemEntropy())
        if is_open_to_others(file):
            log.warning("%s is open to other users, and holds a secret: chmod 600 %s", file, file)
    except OSError as error:
        raise _unfit(file, f"cannot be used: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _unfit(file, "is no text") from error
    if len(token) < TOKEN_MIN:
        raise _unfit(file, f"is shorter than {TOKEN_MIN} characters")
    return token


def _unfit(file: Path, what: str) -> EnvironmentUnfit:
    return EnvironmentUnfit(
        f"the token in {file} {what}", "remove the file, and the next start makes another"
    )
