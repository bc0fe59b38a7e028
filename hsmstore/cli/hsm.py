"""`hsmstore hsm`: an HSM for replicas to share."""

import functools
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.options import AsJson, read_text, takes_settings
from hsmstore.domain.cluster import ServedToken
from hsmstore.domain.limits import KMSUSER_PASSWORD_MAX, KMSUSER_PASSWORD_MIN
from hsmstore.settings import BadSetting, Loaded

app: Final = typer.Typer(help="Serve an HSM that replicas share.")

DEFAULT_LABEL: Final = "hsmstore"
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

REGISTER: Final = """
Register it once; every replica over the same registry then draws from it:

  hsmstore cluster create --pkcs11-profile p11-kit --pkcs11-address {address} \\
    --token-label {label} --crypto-officer-pin-file {crypto_officer_pin}
  hsmstore store create NAME --cluster CLUSTER --password-file {kmsuser_password}

For any other program, p11-kit-client.so is the module:

  export P11_KIT_SERVER_ADDRESS={address}

Ctrl-C stops it; everything stays in {directory}.
"""


@app.command("serve")
@takes_settings("data_dir", "pkcs11_module", "log_level", "log_format")
def serve(
    *,
    loaded: Loaded,
    token: Annotated[
        str, typer.Option(metavar="LABEL", help="The token to serve; made where there is none.")
    ] = DEFAULT_LABEL,
    socket: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Unix socket to serve on; none: one in the token's directory."),
    ] = None,
    kmsuser_password_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A new token's kmsuser has the password in it; none: one is made up."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put a SoftHSM2 token behind p11-kit remoting until Ctrl-C.

    It is the one owner of the token, which several replicas (hsmstore serve) draw from. Several tokens
    are as many of it, each with a --token of its own.
    """
    if not _LABEL.fullmatch(token):
        raise BadSetting(f"--token: {token!r} is not 1 to 32 letters, digits, dots, dashes and underscores")
    password = None if kmsuser_password_file is None else _password(kmsuser_password_file)
    from hsmstore.bootstrap.tokens import serve_token  # noqa: PLC0415 - loads PKCS#11, which `--help` need not

    serve_token(loaded.settings, token, socket, password, functools.partial(_announce, as_json=as_json))


def _password(file: Path) -> str:
    password = read_text("--kmsuser-password-file", file).rstrip("\r\n")
    if not KMSUSER_PASSWORD_MIN <= len(password) <= KMSUSER_PASSWORD_MAX:
        raise BadSetting(
            f"--kmsuser-password-file: kmsuser's password has {KMSUSER_PASSWORD_MIN} to"
            f" {KMSUSER_PASSWORD_MAX} characters"
        )
    return password


def _announce(served: ServedToken, *, as_json: bool) -> None:
    password = served.kmsuser_password
    if as_json:
        screen.document(
            {
                "Token": served.token.label,
                "SerialNumber": served.token.serial,
                "Address": served.address,
                "Directory": str(served.directory),
                "CryptoOfficerPinFile": str(served.crypto_officer_pin),
                "KmsuserPasswordFile": None if password is None else str(password),
            }
        )
        return
    screen.line(f"the token {served.token.label}, serial {served.token.serial}, is served")
    quoted = {name: shlex.quote(str(value)) for name, value in asdict(served).items()}
    quoted |= {"label": served.token.label, "kmsuser_password": shlex.quote(str(password or "FILE"))}
    screen.write(REGISTER.format(**quoted))
