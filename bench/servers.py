"""Servers under measurement: how each is started, and what it needs before it can be asked for bytes."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import client
from bench.client import Caller, Request
from bench.processes import Program, free_port, monotonic, running, sleep

PASSWORD: Final = "kmsuser1password"  # noqa: S105  # of clusters that live for seconds
BIN: Final = Path(sys.executable).parent

_START_WITHIN: Final = 60.0  # seconds
_SETTLE_WITHIN: Final = 60.0  # seconds


class Serving(NamedTuple):
    """A server that has answered a draw with 200, and the seconds from its start until then."""

    port: int
    program: Program
    seconds: float


def serve_command(
    data_dir: Path, threads: int, *options: str, program: Sequence[str] = (str(BIN / "hsmstore"),)
) -> Callable[[int], list[str]]:
    """Return the command of hsmstore for a port; another `program` may be hsmstore of another revision."""
    command = [*program, "serve", "--no-demo", "--profile", "instant"]
    command += ["--threads", str(threads), "--data-dir", str(data_dir), *options]
    return lambda port: [*command, "--port", str(port)]


def constant_command(answer: Path, threads: int) -> Callable[[int], list[str]]:
    """Return the command of the constant handler that gives the answer in a file, for a port."""
    return lambda port: [sys.executable, "-m", "bench.constant", str(threads), str(answer), str(port)]


@contextmanager
def serving(
    command: Callable[[int], list[str]], log: Path, key_store_id: str | None = None
) -> Iterator[Serving]:
    """Run a server, from its first answer on to a draw from the key store, or to one without."""
    port = free_port()
    request = client.generate_random(port, key_store_id)
    with running(command(port), log) as program:
        while not answers(port, request):
            program.require_alive()
            if monotonic() - program.started > _START_WITHIN:
                raise RuntimeError(f"no answer within {_START_WITHIN:.0f} s:\n{program.log}")
            sleep(0.002)
        yield Serving(port, program, monotonic() - program.started)


def answers(port: int, request: Request) -> bool:
    """Tell whether a server answers a request with 200."""
    try:
        return client.send(port, request).status == 200
    except OSError:
        return False


def new_cluster(port: int, **members: Any) -> Any:
    """Make a cluster, with a token of its own unless `members` tell of another."""
    return client.manage(port, "/clusters", members or {"KmsuserPassword": PASSWORD})


def new_key_store(call: Caller, name: str, cluster: Any, password: str = PASSWORD) -> str:
    """Make a key store on a cluster."""
    key_store_id: str = call(
        "CreateCustomKeyStore",
        CustomKeyStoreName=name,
        CloudHsmClusterId=cluster["CloudHsmClusterId"],
        TrustAnchorCertificate=cluster["TrustAnchorCertificate"],
        KeyStorePassword=password,
    )["CustomKeyStoreId"]
    return key_store_id


def settled(call: Caller, key_store_id: str, state: str) -> None:
    """Wait until the key store is in a state."""
    end = monotonic() + _SETTLE_WITHIN
    while True:
        (store,) = call("DescribeCustomKeyStores", CustomKeyStoreId=key_store_id)["CustomKeyStores"]
        if store["ConnectionState"] == state:
            return
        if store["ConnectionState"] == "FAILED" or monotonic() > end:
            raise RuntimeError(f"the key store is not {state}: {store}")
        sleep(0.001)


def connect(call: Caller, key_store_id: str) -> None:
    """Connect a key store, and wait until it is."""
    call("ConnectCustomKeyStore", CustomKeyStoreId=key_store_id)
    settled(call, key_store_id, "CONNECTED")


def disconnect(call: Caller, key_store_id: str) -> None:
    """Disconnect a key store, and wait until it is."""
    call("DisconnectCustomKeyStore", CustomKeyStoreId=key_store_id)
    settled(call, key_store_id, "DISCONNECTED")


def new_external_store(call: Caller, name: str) -> str:
    """Make an external key store: a row, and no token."""
    key_store_id: str = call(
        "CreateCustomKeyStore",
        CustomKeyStoreName=name,
        CustomKeyStoreType="EXTERNAL_KEY_STORE",
        XksProxyConnectivity="PUBLIC_ENDPOINT",
        XksProxyUriEndpoint="https://xks.example.com",
        XksProxyUriPath=f"/{name.replace(' ', '-')}/kms/xks/v1",
        XksProxyAuthenticationCredential={
            "AccessKeyId": "ABCDEFGHIJKLMNOPQRST",
            "RawSecretAccessKey": "A" * 43,
        },
    )["CustomKeyStoreId"]
    return key_store_id


def connected_key_store(port: int, name: str = "bench") -> str:
    """Make a cluster and a key store on it, and connect."""
    with closing(Caller(port)) as call:
        key_store_id = new_key_store(call, name, new_cluster(port))
        connect(call, key_store_id)
    return key_store_id
