"""`hsmstore random`: GenerateRandom, from a key store's HSM or from the system."""

import base64
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final

import typer

from hsmstore.cli import screen
from hsmstore.cli.client import Simulator
from hsmstore.cli.ids import STORES
from hsmstore.cli.options import AsJson
from hsmstore.cli.views import DrawnView
from hsmstore.settings import BadSetting


class Format(StrEnum):
    """How bytes are written."""

    HEX = "hex"
    BASE64 = "base64"
    RAW = "raw"


_WRITTEN: Final[Mapping[Format, Callable[[bytes], bytes]]] = MappingProxyType(
    {
        Format.HEX: lambda drawn: drawn.hex().encode() + b"\n",
        Format.BASE64: lambda drawn: base64.b64encode(drawn) + b"\n",
        Format.RAW: bytes,
    }
)


def drawn_bytes(simulator: Simulator, count: int, key_store_id: str | None) -> bytes:
    """Return `count` (1 to 1024) bytes of one GenerateRandom."""
    answer = simulator.kms("GenerateRandom", NumberOfBytes=count, CustomKeyStoreId=key_store_id)
    return simulator.read(answer, DrawnView).plaintext


def random(
    context: typer.Context,
    key_store_id: Annotated[
        str | None,
        typer.Argument(
            metavar="STORE", help="The key store to draw from; none: the system.", autocompletion=STORES
        ),
    ] = None,
    *,
    count: Annotated[int, typer.Option("--bytes", "-n", help="How many bytes, 1 to 1024.")] = 32,
    form: Annotated[
        Format | None, typer.Option("--format", "-f", help="How to write them.", show_default="hex")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Draw random bytes from a key store, or from the system."""
    simulator: Simulator = context.obj.simulator
    if as_json:
        if form is not None:
            raise BadSetting("--format: --json has its own, base64 in Plaintext; give one of the two")
        answer = simulator.kms("GenerateRandom", NumberOfBytes=count, CustomKeyStoreId=key_store_id)
        screen.document(answer)
        return
    screen.write(_WRITTEN[form or Format.HEX](drawn_bytes(simulator, count, key_store_id)))
