"""Real tokens in a directory of each test's own."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hsmstore.domain.cluster import Cluster, ClusterState, TokenReference
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.lease import UNENDING, Lease
from hsmstore.domain.ports import HsmConnection
from hsmstore.hsm.pkcs11_hsm import Pkcs11Hsm

SO_PIN = "officer-pin"
PASSWORD = "kmsPswd123"
CLUSTER_ID = "cluster-aaaaaaaaaaa"
OTHER_CLUSTER_ID = "cluster-bbbbbbbbbbb"


class Ticker:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Return the time that the test has set."""
        return self.seconds


def pause(seconds: float) -> None:
    """Let other threads and processes get on."""
    threading.Event().wait(seconds)


def cluster_of(token: TokenReference | None, cluster_id: str = CLUSTER_ID) -> Cluster:
    """Return a cluster as the registry would hold it, as far as the HSM room looks at it."""
    return Cluster(
        id=cluster_id,
        scope=Scope("123456789012", "us-east-1"),
        state=ClusterState.ACTIVE,
        created_at=0.0,
        trust_anchor_certificate="",
        hsms=(),
        token=token,
        crypto_officer_pin=None,
    )


@dataclass
class Bench:
    """An Hsm over its directory, and what it has open."""

    directory: Path
    ticker: Ticker = field(default_factory=Ticker)
    opened: list[HsmConnection] = field(default_factory=list)
    lease: Lease = UNENDING

    def __post_init__(self) -> None:
        """Make the Hsm."""
        self.hsm = Pkcs11Hsm(self.directory, self.ticker)

    def create(self, cluster_id: str = CLUSTER_ID, password: str | None = PASSWORD) -> Cluster:
        """Make a cluster with its token."""
        return cluster_of(self.hsm.create_token(cluster_id, SO_PIN, password), cluster_id)

    def connect(self, cluster: Cluster, password: str = PASSWORD) -> HsmConnection:
        """Connect; the connection is closed with the test at the latest."""
        connection = self.hsm.connect(cluster, password, self.lease)
        self.opened.append(connection)
        return connection

    def home(self, cluster: Cluster) -> Path:
        """Return the cluster's directory."""
        return self.directory / cluster.id

    def names(self) -> list[str]:
        """Return what lies in the directory, copies of modules (which must all be gone) included."""
        modules = self.directory / "modules"
        left = [path.name for path in modules.iterdir()] if modules.exists() else []
        return sorted(left + [path.name for path in self.directory.iterdir() if path != modules])

    def token_object(self, cluster: Cluster) -> Path:
        """Return SoftHSM2's file of the token itself."""
        (path,) = self.home(cluster).glob("tokens/*/token.object")
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give an Hsm in a directory of the test's own, and close what the test has left open."""
    bench = Bench(tmp_path / "hsm")
    yield bench
    for connection in bench.opened:
        connection.close()
