"""The three that are measured, each started, loaded and stopped within one round."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import client, constant, load
from bench.client import Request
from bench.load import Figures
from bench.processes import Program, free_port, monotonic, running, sleep

HSMSTORE: Final = "hsmstore"
CONSTANT: Final = "constant"
MOTO: Final = "moto_server"

_BIN: Final = Path(sys.executable).parent
_START_WITHIN: Final = 60.0  # seconds
_PASSWORD: Final = "kmsuser1password"  # noqa: S105  # of a cluster that lives for seconds


class Terms(NamedTuple):
    """What is the same for everybody in a round."""

    seconds: float
    threads: int
    directory: Path  # of this round, empty at first


def measure(terms: Terms) -> dict[str, Figures]:
    """Measure all three, one after the other."""
    return {HSMSTORE: _hsmstore(terms), CONSTANT: _constant(terms), MOTO: _moto(terms)}


def _hsmstore(terms: Terms) -> Figures:
    figures: Figures = {}
    with _serving(terms, serve_command, None) as (port, _, seconds):
        figures["start to first answer, first, s"] = seconds
        key_store_id = connected_key_store(port)
    with _serving(terms, serve_command, key_store_id) as (port, program, seconds):
        figures["start to first answer, second, s"] = seconds
        request = client.generate_random(port, key_store_id)
        constant.write(client.send(port, request), _answer_file(terms))
        lua = load.script(request, terms.directory)
        figures |= load.over_http(program, port, lua, terms.seconds)
        figures |= load.with_boto3(port, key_store_id, terms.seconds)
    return figures


def _constant(terms: Terms) -> Figures:
    """Load with the request that hsmstore was sent, and answer what it answered."""
    with _serving(terms, _constant_command, None) as (port, program, seconds):
        figures: Figures = {"start to first answer, first, s": seconds}
        figures |= load.over_http(program, port, terms.directory / "request.lua", terms.seconds)
        return figures | load.with_boto3(port, None, terms.seconds)


def _moto(terms: Terms) -> Figures:
    """Load with draws from no key store: moto has no HSM, and takes no notice of CustomKeyStoreId."""
    with _serving(terms, _moto_command, None) as (port, program, seconds):
        figures: Figures = {"start to first answer, first, s": seconds}
        lua = load.script(client.generate_random(port, None), terms.directory)
        figures |= load.over_http(program, port, lua, terms.seconds)
        return figures | load.with_boto3(port, None, terms.seconds)


def serve_command(port: int, terms: Terms) -> list[str]:
    """Return the command that serves on `port`."""
    command = [str(_BIN / "hsmstore"), "serve", "--no-demo", "--profile", "instant", "--port", str(port)]
    return [*command, "--threads", str(terms.threads), "--data-dir", str(terms.directory / "data")]


def _constant_command(port: int, terms: Terms) -> list[str]:
    return [sys.executable, "-m", "bench.constant", str(port), str(terms.threads), str(_answer_file(terms))]


def _moto_command(port: int, _: Terms) -> list[str]:
    return [str(_BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]


def _answer_file(terms: Terms) -> Path:
    return terms.directory / "answer.json"


@contextmanager
def _serving(terms: Terms, command: Any, key_store_id: str | None) -> Iterator[tuple[int, Program, float]]:
    """Start a server; give its port, its process, and the seconds until it answered a draw with 200."""
    port = free_port()
    request = client.generate_random(port, key_store_id)
    with running(command(port, terms), terms.directory / "server.log") as program:
        while not answers(port, request):
            program.require_alive()
            if monotonic() - program.started > _START_WITHIN:
                raise RuntimeError(f"no answer within {_START_WITHIN:.0f} s")
            sleep(0.002)
        yield port, program, monotonic() - program.started


def answers(port: int, request: Request) -> bool:
    """Tell whether the request is answered with 200."""
    try:
        return client.send(port, request).status == 200
    except OSError:
        return False


def connected_key_store(port: int) -> str:
    """Make a cluster and a key store on it, and connect."""
    cluster = client.manage(port, "/clusters", {"KmsuserPassword": _PASSWORD})
    kms = client.client(port)
    key_store_id: str = kms.create_custom_key_store(
        CustomKeyStoreName="bench",
        CloudHsmClusterId=cluster["CloudHsmClusterId"],
        TrustAnchorCertificate=cluster["TrustAnchorCertificate"],
        KeyStorePassword=_PASSWORD,
    )["CustomKeyStoreId"]
    kms.connect_custom_key_store(CustomKeyStoreId=key_store_id)
    end = monotonic() + _START_WITHIN
    while True:
        (store,) = kms.describe_custom_key_stores(CustomKeyStoreId=key_store_id)["CustomKeyStores"]
        if store["ConnectionState"] == "CONNECTED":
            return key_store_id
        if store["ConnectionState"] == "FAILED" or monotonic() > end:
            raise RuntimeError(f"the key store does not connect: {store}")
        sleep(0.01)
