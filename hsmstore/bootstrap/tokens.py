"""A token served to other machines, in a process of its own."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hsmstore.bootstrap.parts import (
    module_of,
    open_log,
)
from hsmstore.domain.cluster import ServedToken
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.ports import HsmUnavailable
from hsmstore.hsm.directory import ClusterDirectory
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm
from hsmstore.hsm.remoting import TokenServer, serving
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import monotonic
from hsmstore.system.entropy import SystemEntropy
from hsmstore.system.ownership import owned
from hsmstore.system.secretfile import kept_secret

SERVED: Final = "hsm-serve"  # in the data directory: tokens behind p11-kit remoting, each with its owner
SOCKET: Final = "p11-kit.socket"
CRYPTO_OFFICER_PIN: Final = "crypto-officer.pin"
KMSUSER_PASSWORD: Final = "kmsuser.password"  # noqa: S105  # a file name


def serve_token(
    settings: Settings,
    label: str,
    socket_path: Path | None,
    kmsuser_password: str | None,
    when_ready: Callable[[ServedToken], None],
) -> None:
    """Put the token `label` behind p11-kit remoting until SIGTERM or SIGINT; make it where there is none.

    Where it is made without `kmsuser_password` one is made up, and kept in a file.

    Raises:
        EnvironmentUnfit: the machine cannot serve it as it stands, or another process owns the token.

    """
    open_log(settings)
    endings = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, endings)  # before any thread: they inherit it
    directory = settings.data_dir.absolute() / SERVED / label
    path = socket_path or directory / SOCKET
    for parent in (settings.data_dir, directory.parent):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with owned(directory):
        made = _make_token(directory, label, kmsuser_password, settings)
        server = TokenServer(ClusterDirectory(directory / label), module=module_of(settings))
        with serving(server, path.absolute()):
            when_ready(
                ServedToken(
                    token=server.token,
                    address=f"unix:path={quote(str(path.absolute()))}",
                    directory=directory,
                    crypto_officer_pin=directory / CRYPTO_OFFICER_PIN,
                    kmsuser_password=made if made.exists() else None,
                )
            )
            signal.sigwait(endings)


def _make_token(directory: Path, label: str, password: str | None, settings: Settings) -> Path:
    """Make the token where there is none; return where a password that was made up is kept.

    Both secrets are on the disk before the token is made: a kill in between loses neither.
    """
    kept = directory / KMSUSER_PASSWORD
    if (directory / label).exists():
        return kept
    entropy = SystemEntropy()
    pin = kept_secret(directory / CRYPTO_OFFICER_PIN, entropy)
    hsm = Pkcs11Hsm(directory, monotonic)
    try:
        hsm.create_token(label, pin, password or kept_secret(kept, entropy), module=module_of(settings))
    except HsmUnavailable as error:
        raise EnvironmentUnfit(error.reason, "see `hsmstore doctor`") from error
    return kept
