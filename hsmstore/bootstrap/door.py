"""The door of a server, from settings: where it may listen, TLS, and who needs which token."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hsmstore.domain.door import ANY, Guard, is_loopback
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.principal import AuthMode
from hsmstore.settings import BadSetting
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import real_time
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.secretfile import is_open_to_others, kept_secret

if TYPE_CHECKING:
    from hsmstore.wire.tls import Tls

log = logging.getLogger(__name__)

ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound
TOKEN_MIN: Final = 16  # characters: what nobody guesses over a network


def require_safe(settings: Settings) -> None:
    """Refuse settings by which a server would let in more than its owner may have meant.

    Raises:
        BadSetting: it listens beyond this machine, to calls in the clear or from anybody, and nobody has said
            that this is meant; or settings for TLS do not go together.

    """
    for name in ("tls_key", "tls_client_ca"):
        if getattr(settings, name) is not None and not settings.has_tls:
            raise BadSetting(f"--{name.replace('_', '-')} is for HTTPS; add --tls, or --tls-cert FILE")
    if settings.tls_key is not None and settings.tls_cert is None:
        raise BadSetting("--tls-key belongs to a certificate; add --tls-cert FILE")
    if is_loopback(settings.host):
        return
    beyond = f"--host {settings.host} lets in other machines"
    if settings.auth is not AuthMode.VERIFY and not settings.allow_unsigned:
        raise BadSetting(
            f"{beyond}, and --auth {settings.auth} whoever calls;"
            " add --auth verify --principals FILE, or --allow-unsigned if this is meant"
        )
    if not settings.has_tls and not settings.allow_plain_http:
        raise BadSetting(
            f"{beyond}, and HTTP shows them what is said; add --tls, or --allow-plain-http if this is meant"
        )


def open_tls(settings: Settings) -> "Tls | None":
    """Return TLS for the sockets, if there is to be any; the certificate is made where none is named.

    Raises:
        EnvironmentUnfit: a file cannot be used.

    """
    if not settings.has_tls:
        return None
    from hsmstore.wire.tls import Tls  # noqa: PLC0415  # OpenSSL and X.509, which most servers do not need

    return Tls(settings.tls_cert or _own_certificate(settings), settings.tls_key, settings.tls_client_ca)


def reload_tls(tls: "Tls | None") -> None:
    """Read certificate and key again; what cannot be used is logged, and the last ones stay."""
    if tls is None:
        return
    try:
        tls.reload()
    except EnvironmentUnfit as error:
        log.warning("the certificate stays as it is: %s", error)


def _own_certificate(settings: Settings) -> Path:
    from hsmstore.system.servercertificate import AUTHORITY, server_certificate  # noqa: PLC0415  # see above

    further = {settings.host, *(name.lstrip(".") for name in settings.allow_host if name != ANY)}
    below = {f"*{name}" for name in settings.allow_host if name.startswith(".")}
    names = [*ALWAYS, *sorted((further | below) - {*ALWAYS, *EVERYWHERE})]
    try:
        file, is_new = server_certificate(settings.data_dir, names, real_time())
    except OSError as error:
        raise EnvironmentUnfit(
            f"no certificate can be made in {settings.data_dir}: {error.strerror}",
            "make it writable for this user, or name a certificate with --tls-cert",
        ) from error
    if is_new:
        log.warning(
            "a certificate for %s was made; clients trust %s", ", ".join(names), file.with_name(AUTHORITY)
        )
    return file


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
