"""What `doctor` says of the door: modes that let in more than is needed, and files that others may read.

A mode is somebody's choice, and only a warning, like a directory that others may look into; what would keep a
server from starting, or lets others have a secret, is wrong.
"""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from hsmstore.bootstrap.door import require_safe
from hsmstore.bootstrap.parts import key_file
from hsmstore.domain.door import ANY, is_loopback
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.findings import Finding
from hsmstore.domain.policy.decision import IamMode
from hsmstore.domain.principal import AuthMode
from hsmstore.settings import BadSetting
from hsmstore.settings.fields import Settings
from hsmstore.system.clock import real_time
from hsmstore.system.principals import FilePrincipals
from hsmstore.system.secretfile import is_open_to_others

EXAMPLE: Final = "EXAMPLE"
"""How the access keys of AWS's documentation end: everybody knows their secrets."""

ENDS_SOON: Final = timedelta(days=30)


def examine_door(settings: Settings) -> Iterator[Finding]:
    """Yield what is to say of who would be let in by a server with these settings."""
    loose = [Finding(subject="door", detail=what, mend=mend, warns=True) for what, mend in _loose(settings)]
    try:
        require_safe(settings)
    except BadSetting as error:
        what, _, mend = str(error).partition("; ")
        yield Finding(subject="door", detail=what, mend=mend or "mend the settings")
    if loose:
        yield from loose
    else:
        yield Finding(subject="door", detail="nobody is let in who need not be")
    yield from _files(settings)
    if settings.has_tls:
        yield from _certificate(settings)


def _loose(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each mode that lets in more than is needed, and what to say instead."""
    beyond = not is_loopback(settings.host)
    if beyond:
        yield f"other machines reach it: --host {settings.host}", "leave out --host, if nobody needs that"
    if settings.auth is AuthMode.OFF:
        yield "--auth off: calls are anybody's, and nobody is known", "--auth identify, or verify"
    elif beyond and settings.auth is not AuthMode.VERIFY:
        yield f"--auth {settings.auth}: other machines need no signature", "--auth verify --principals FILE"
    if beyond and settings.iam is not IamMode.ENFORCE:
        yield f"--iam {settings.iam}: who is known may do everything", "--iam enforce"
    if beyond and not settings.has_tls:
        yield "HTTP shows everybody on the way what is said", "--tls"
    if ANY in settings.allow_host:
        yield "--allow-host '*': a web page can reach it by any name", "name the hosts with --allow-host NAME"
    yield from _known_to_all(settings)


def _known_to_all(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.principals is None:
        return
    try:
        known = FilePrincipals(settings.principals).credentials
    except EnvironmentUnfit:  # doctor says so where it looks at the principals
        return
    for access_key_id in known:
        if access_key_id.endswith(EXAMPLE):
            yield (
                f"access key {access_key_id} stands in AWS's documentation, its secret too",
                f"make another with `hsmstore principal add` and remove it from {settings.principals}",
            )


def _files(settings: Settings) -> Iterator[Finding]:
    """Yield the files that hold secrets, and the directory around them, if others may read them."""
    own = settings.data_dir / "tls" / "server.pem"
    secret = [settings.management_token_file, key_file(settings), own]
    secret += [path for path in (settings.tls_key or settings.tls_cert,) if path is not None]
    for path in (settings.data_dir, *secret):
        try:
            is_open = is_open_to_others(path)
        except OSError:  # not there yet
            continue
        if is_open:
            mend = f"chmod {'700' if path.is_dir() else '600'} {shlex.quote(str(path))}"
            detail = "open to other users, and holds secrets"
            yield Finding(subject=str(path), detail=detail, mend=mend, warns=path.is_dir())


def _certificate(settings: Settings) -> Iterator[Finding]:
    """Yield how the certificate stands; one that the server makes itself it also renews."""
    if settings.tls_cert is None:
        return
    from cryptography import x509  # noqa: PLC0415  # X.509, which most servers do not need

    from hsmstore.wire.tls import Tls  # noqa: PLC0415  # see above

    subject = f"certificate {settings.tls_cert}"
    try:
        Tls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
        certificate = x509.load_pem_x509_certificate(Path(settings.tls_cert).read_bytes())
    except EnvironmentUnfit as error:
        yield Finding(subject=subject, detail=error.reason, mend=error.mend)
        return
    except ValueError as error:  # OpenSSL, by which it is served, takes more than X.509's own library
        detail = f"can be served, but when it ends cannot be read: {error}"
        mend = "name a PEM file that begins with BEGIN CERTIFICATE"
        yield Finding(subject=subject, detail=detail, mend=mend, warns=True)
        return
    left = certificate.not_valid_after_utc - datetime.fromtimestamp(real_time(), UTC)
    ends = f"ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if left < timedelta(0):
        yield Finding(subject=subject, detail=f"has ended: {ends}", mend="put another there, and send SIGHUP")
    elif left < ENDS_SOON:
        mend = "put another there, and send SIGHUP"
        yield Finding(subject=subject, detail=ends, mend=mend, warns=True)
    else:
        yield Finding(subject=subject, detail=ends)
