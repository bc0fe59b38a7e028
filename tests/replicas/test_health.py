"""What a replica tells a load balancer and Prometheus when it does not reach its registry."""

from typing import Any

import pytest
from falcon.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from hsmstore.bootstrap.observing import scraping
from hsmstore.control.app import management_application
from hsmstore.control.health import Health
from hsmstore.domain.door import Guard
from hsmstore.domain.tally import Tally
from hsmstore.service import replica as steps
from tests.replicas.worlds import LEASE, Estate, Replica

pytestmark = pytest.mark.postgresql


class Sockets:
    """A server to which nobody is connected."""

    def waiting(self) -> dict[str, int]:
        """Return that no call waits."""
        return {}

    def connected(self) -> int:
        """Return that there is no client."""
        return 0


class Asked:
    """The management API of a replica, and what it says."""

    def __init__(self, replica: Replica) -> None:
        self.health = Health(replica.world)
        scrape = scraping(replica.world, Tally(()), Sockets)
        application = management_application(replica.world, self.health, Guard("0" * 32), scrape)
        self._client = TestClient(application, headers={"Host": "localhost"})

    def get(self, path: str) -> tuple[int, Any]:
        """Return status and answer."""
        answer = self._client.simulate_get(f"/_hsmstore{path}")
        return answer.status_code, answer.json

    def metric(self, name: str) -> list[float]:
        """Return the samples of a metric."""
        text = self._client.simulate_get("/_hsmstore/metrics").text
        return [s.value for f in text_string_to_metric_families(text) if f.name == name for s in f.samples]


def test_ready_from_the_start_to_the_end(estate: Estate) -> None:
    """A server is neither ready nor well before everything has started, and once it drains."""
    replica = estate.replica()
    steps.renew(replica.world)
    asked = Asked(replica)
    for status, expected in [("starting", 503), ("ok", 200), ("draining", 503)]:
        asked.health.status = status
        assert asked.get("/health")[0] == expected
        assert asked.get("/ready") == (
            expected,
            {"ready": True} if expected == 200 else {"ready": False, "reason": f"the server is {status}"},
        )


def test_a_lapsed_lease(estate: Estate) -> None:
    """A replica whose lease has lapsed is well, says so, and is not ready until it has another."""
    replica = estate.replica()
    steps.renew(replica.world)
    asked = Asked(replica)
    asked.health.status = "ok"
    assert asked.get("/health")[1]["lease"] == "held"
    (left,) = asked.metric("hsmstore_lease_remaining_seconds")
    assert 0 < left <= LEASE
    replica.clock.ahead += LEASE
    status, health = asked.get("/health")
    assert (status, health["status"], health["lease"]) == (200, "ok", "lapsed")
    status, ready = asked.get("/ready")
    assert (status, ready["ready"]) == (503, False)
    assert "lease has lapsed" in ready["reason"]
    (left,) = asked.metric("hsmstore_lease_remaining_seconds")
    assert left < 0
    steps.renew(replica.world)
    assert asked.get("/ready") == (200, {"ready": True})


def test_a_registry_that_is_away(estate: Estate) -> None:
    """A scrape without a registry says so, leaves out what only the registry knows, and tells the rest."""
    replica = estate.replica()
    asked = Asked(replica)
    assert asked.metric("hsmstore_registry_up") == [1]
    assert asked.metric("hsmstore_key_stores") == [0] * 5
    estate.lock_out()
    assert asked.metric("hsmstore_registry_up") == [0]
    assert asked.metric("hsmstore_key_stores") == []
    assert asked.metric("hsmstore_hsm_sessions") == [0]
