"""What `hsmstore serve` says once it serves: what runs where, and lines that a newcomer can paste."""

import json
import shlex
import ssl
from collections.abc import Sequence
from typing import Final

import msgspec

import hsmstore
from hsmstore.cli import screen
from hsmstore.cli.client import Credentials, Refused, Simulator
from hsmstore.cli.draw import drawn_bytes
from hsmstore.cli.exits import ending_of
from hsmstore.cli.first_start import demo_key_store
from hsmstore.cli.views import StoreView
from hsmstore.cli.waiting import Unsettled, settled
from hsmstore.domain.principal import AuthMode, Credential
from hsmstore.settings.environment import CA_FILE
from hsmstore.settings.fields import Settings

SAMPLE: Final = 32

CONSOLE: Final = "/_hsmstore/"

PATIENCE: Final = 30.0
"""Seconds to wait for the demo key store; with AWS's durations it connects long after the welcome."""

TRY_IT: Final = """
With the AWS CLI:

  export AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} AWS_DEFAULT_REGION={region}{bundle}
  aws kms generate-random --number-of-bytes {sample}{of_store} \\
    --endpoint-url {endpoint} --query Plaintext --output text

With boto3:

  import boto3
  kms = boto3.client("kms", endpoint_url="{endpoint}", region_name="{region}",
                     aws_access_key_id="{key}", aws_secret_access_key="{secret}"{verify})
  print(kms.generate_random(NumberOfBytes={sample}{in_store})["Plaintext"].hex())
"""

_ANYTHING: Final = {"key": "hsmstore", "secret": "hsmstore"}
_SIGNING: Final = {
    AuthMode.OFF: _ANYTHING,
    AuthMode.IDENTIFY: _ANYTHING,
    AuthMode.VERIFY: {"key": "ACCESS_KEY_ID", "secret": "SECRET_ACCESS_KEY"},
}
"""What the lines sign with: what is known of nobody, or what stands for a principal's own."""


class Found(msgspec.Struct, frozen=True):
    """What the welcome shows: the key stores, the one to try, and bytes that were just drawn from it."""

    stores: Sequence[StoreView]
    tried: StoreView | None
    drawn: bytes


def welcome(settings: Settings, base_url: str, own: Credential | None, *, as_json: bool) -> None:
    """Make the demo key store if there must be one, draw a sample, print the welcome.

    `own` is the server's own credential, where calls must be signed.

    It runs beside a server that serves already, so whatever goes wrong here is no more than a note.
    """
    if settings.tls_client_ca is not None:
        screen.note(f"serving at {base_url}; clients need a certificate of {settings.tls_client_ca}")
        return
    try:
        found = _look(_simulator(settings, base_url, own), settings)
        if as_json:
            screen.document(_as_json(settings, base_url, found))
        else:
            _print(settings, base_url, found)
    except screen.ReaderGone:
        return
    except Exception as error:  # noqa: BLE001 - a thread's last place; the server goes on
        screen.note(f"serving at {base_url}, but the welcome failed: {ending_of(error).line}")


def _simulator(settings: Settings, base_url: str, own: Credential | None) -> Simulator:
    """Return a client of this very server: over HTTPS it believes this certificate, whatever names it has."""
    context = None
    if settings.has_tls:
        context = ssl.create_default_context(cafile=settings.tls_cert or settings.data_dir / CA_FILE)
        context.check_hostname = False
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return Simulator(
        base_url,
        credentials=None if own is None else Credentials(own.access_key_id, own.secret_access_key),
        token=settings.management_token_file.read_text(encoding="ascii").strip(),
        context=context,
    )


def _look(simulator: Simulator, settings: Settings) -> Found:
    demo = demo_key_store(simulator, settings.data_dir) if settings.demo else None
    if demo is not None:
        _await(simulator, demo)
    stores = simulator.read(simulator.key_stores(), list[StoreView])
    connected = [store for store in stores if store.connection_state == "CONNECTED"]
    connected.sort(key=lambda store: store.custom_key_store_id != demo)
    tried = connected[0] if connected else None
    drawn = drawn_bytes(simulator, SAMPLE, tried.custom_key_store_id if tried else None)
    return Found(stores=stores, tried=tried, drawn=drawn)


def _trusting(settings: Settings) -> dict[str, str]:
    """Return what the lines need besides, to believe a certificate that the server has made itself."""
    if not settings.tls or settings.tls_cert is not None:
        return {"bundle": "", "verify": ""}
    file = str((settings.data_dir / CA_FILE).absolute())
    return {"bundle": f" AWS_CA_BUNDLE={shlex.quote(file)}", "verify": f", verify={json.dumps(file)}"}


def _await(simulator: Simulator, key_store_id: str) -> None:
    """Watch the demo key store connect. A user may have deleted it since, and that is no trouble."""
    try:
        with screen.progress(f"demo key store {key_store_id}") as tell:
            settled(simulator, key_store_id, timeout=PATIENCE, tell=tell)
    except (Refused, Unsettled):
        return


def _as_json(settings: Settings, base_url: str, found: Found) -> dict[str, object]:
    return {
        "Endpoint": base_url,
        "Console": f"{base_url}{CONSOLE}",
        "DataDirectory": str(settings.data_dir),
        "Profile": settings.profile.value,
        "CustomKeyStores": msgspec.to_builtins(found.stores),
        "Sample": {
            "CustomKeyStoreId": found.tried and found.tried.custom_key_store_id,
            "Hex": found.drawn.hex(),
        },
    }


def _print(settings: Settings, base_url: str, found: Found) -> None:
    screen.line(f"hsmstore {hsmstore.__version__} serves AWS KMS custom key stores at {base_url}")
    screen.line()
    console = f"{base_url}{CONSOLE}"
    screen.card([("console", console), ("data", str(settings.data_dir)), ("profile", settings.profile.value)])
    screen.line()
    if found.stores:
        screen.table(
            ["KEY STORE", "NAME", "STATE"],
            [
                [store.custom_key_store_id, store.custom_key_store_name, store.connection_state]
                for store in found.stores
            ],
        )
    else:
        screen.line(
            "There is no key store yet; `hsmstore cluster create` and `hsmstore store create` make one."
        )
    key_store_id = found.tried.custom_key_store_id if found.tried else None
    screen.write(
        TRY_IT.format(
            endpoint=base_url,
            region=settings.region,
            **_SIGNING[settings.auth],
            **_trusting(settings),
            sample=SAMPLE,
            of_store=f" --custom-key-store-id {shlex.quote(key_store_id)}" if key_store_id else "",
            in_store=f', CustomKeyStoreId="{key_store_id}"' if key_store_id else "",
        )
    )
    source = f"the HSM of {key_store_id}" if key_store_id else "the system, since no key store is connected"
    screen.line(f"\n{SAMPLE} bytes, drawn just now over this endpoint from {source}:\n")
    screen.line(f"  {found.drawn.hex()}\n")
    screen.line("Ctrl-C stops it; everything stays in the data directory.")
