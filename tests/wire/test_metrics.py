"""Metrics, health and readiness, as Prometheus and a load balancer ask for them."""

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hsmstore import __version__
from hsmstore.domain.connection import ConnectionState
from hsmstore.metrics.catalogue import CATALOGUE
from tests.registries import REGISTRIES
from tests.server import Server
from tests.wire.failing import Played
from tests.wire.keys import fresh
from tests.wire.refusals import code
from tests.wire.test_faults import inject

pytestmark = pytest.mark.simulator_only

NO_STORE = "cks-00000000000000000"


class Scrape:
    """What a scrape says."""

    def __init__(self, server: Server) -> None:
        answer = server.request("GET", "/_hsmstore/metrics")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = text_string_to_metric_families(answer.body.decode())
        self.families = {family.name: family for family in families}

    def __call__(self, name: str, **labels: str) -> float:
        """Return the value of one sample; of one that is not there, 0."""
        samples = (sample for family in self.families.values() for sample in family.samples)
        return next((s.value for s in samples if s.name == name and s.labels == labels), 0.0)


class Since:
    """What has been added to counters since it was made."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._before = Scrape(server)

    def __call__(self, name: str, **labels: str) -> float:
        """Return the difference."""
        return Scrape(self._server)(name, **labels) - self._before(name, **labels)

    def calls(self, operation: str, outcome: str) -> float:
        """Return how many calls of the operation have ended so."""
        return self("hsmstore_calls_total", operation=operation, outcome=outcome)


@pytest.fixture
def played(server: Server) -> Iterator[Played]:
    """Give a key store that is not connected, and leave no fault behind."""
    yield Played(server, fresh("metrics"))
    assert server.manage("DELETE", "/faults") == (200, {})


def test_every_metric_is_there(server: Server) -> None:
    """A scrape has every metric of the catalogue, of its kind and with its text, and no other of ours."""
    families = Scrape(server).families
    ours = {name: family for name, family in families.items() if name.startswith("hsmstore_")}
    assert [(f.name, f.type, f.documentation) for f in ours.values()] == [
        (metric.family, metric.kind, metric.meaning) for metric in CATALOGUE
    ]
    assert {"process_resident_memory_bytes", "process_cpu_seconds", "process_open_fds"} <= families.keys()


def test_labels_are_those_of_the_catalogue(played: Played) -> None:
    """Every sample has the labels that the catalogue gives its metric."""
    played.works()
    families = Scrape(played.server).families
    for metric in CATALOGUE:
        for sample in families[metric.family].samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


def test_calls_by_outcome(played: Played) -> None:
    """Calls are counted by what their clients were told, also those that were refused unread."""
    played.works()
    since = Since(played.server)
    for _ in range(3):
        played.draw()
    assert code(played.kms.generate_random, NumberOfBytes=8, CustomKeyStoreId=NO_STORE)
    assert code(played.kms.generate_random, NumberOfBytes=0)
    played.state()
    played.server.call("NoOperation", {})
    played.server.request("POST", "/", b"x", {"Content-Type": "text/plain"})
    assert since.calls("GenerateRandom", "Success") == 3
    assert since.calls("GenerateRandom", "CustomKeyStoreNotFoundException") == 1
    assert since.calls("GenerateRandom", "ValidationException") == 1
    assert since.calls("DescribeCustomKeyStores", "Success") == 1
    assert since.calls("UnknownOperation", "UnknownOperationException") == 1
    assert since.calls("UnknownOperation", "HTTP404") == 1


def test_latency(played: Played) -> None:
    """Every call is in the histogram, whose last bucket counts them all; a fault's wait is seen."""
    played.works()
    since = Since(played.server)
    inject(played.server, "GenerateRandom", "latency", Seconds=0.02, Times=1)
    for _ in range(5):
        played.draw()
    name, labels = "hsmstore_call_duration_seconds", {"operation": "GenerateRandom"}
    assert since(f"{name}_count", **labels) == 5
    assert since(f"{name}_bucket", le="+Inf", **labels) == 5
    assert since(f"{name}_bucket", le="0.01", **labels) <= 4
    assert since(f"{name}_sum", **labels) >= 0.02


def test_a_dropped_call(played: Played) -> None:
    """A call whose connection a fault ends is counted as dropped."""
    played.works()
    since = Since(played.server)
    inject(played.server, "GenerateRandom", "drop", Times=1)
    with pytest.raises(ConnectionResetError):
        played.server.call("GenerateRandom", {"NumberOfBytes": 8})
    assert since.calls("GenerateRandom", "Dropped") == 1


def test_key_stores_and_sessions(played: Played) -> None:
    """Key stores are counted by state, and a connected one that was drawn from has a session."""
    since = Since(played.server)
    played.works()
    assert since("hsmstore_key_stores", state="CONNECTED") == 1
    assert since("hsmstore_key_stores", state="DISCONNECTED") == -1
    assert since("hsmstore_hsm_sessions") == 1
    played.disconnect()
    assert since("hsmstore_key_stores", state="CONNECTED") == 0
    assert since("hsmstore_hsm_sessions") == 0
    scrape = Scrape(played.server)
    states = {sample.labels["state"] for sample in scrape.families["hsmstore_key_stores"].samples}
    assert states == set(ConnectionState)
    assert scrape("hsmstore_registry_up") == 1


def test_hsm_errors(played: Played) -> None:
    """An error of a module is counted under its PKCS#11 name."""
    since = Since(played.server)
    played.set_password()
    played.fails("INVALID_CREDENTIALS")
    assert since("hsmstore_hsm_errors_total", ckr="CKR_PIN_INCORRECT") == 1


def test_who_waits(server: Server) -> None:
    """The scrape itself is a client that is connected, and a call in a reserved thread."""
    scrape = Scrape(server)
    assert scrape("hsmstore_http_connections") >= 1
    assert scrape("hsmstore_waiting_calls", threads="reserved") >= 1
    assert scrape("hsmstore_build_info", version=__version__, profile="instant") == 1


def test_ready(server: Server) -> None:
    """A server that serves is ready, and says how its lease stands."""
    assert server.manage("GET", "/ready") == (200, {"ready": True})
    _, health = server.manage("GET", "/health")
    lease = "none" if REGISTRIES.postgres is None else "held"
    assert health["lease"] == lease
    assert (Scrape(server)("hsmstore_lease_remaining_seconds") > 0) is (lease == "held")
