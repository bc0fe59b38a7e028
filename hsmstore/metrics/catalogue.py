"""Every metric of hsmstore's own: docs/observability.md and what a scrape says of them are made from it."""

from enum import StrEnum
from typing import Final, NamedTuple


class Kind(StrEnum):
    """Prometheus's kinds of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """One metric: its name as it is scraped, its labels, and what it tells."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The name as the library wants it: it adds a counter's ending itself."""
        return self.name.removesuffix("_total")


CALLS: Final = Metric(
    "hsmstore_calls_total",
    Kind.COUNTER,
    "KMS calls that have ended, by what the client was told: Success, the error's code, or Dropped where a "
    "fault ended the connection. A call of no operation of this KMS counts as UnknownOperation.",
    ("operation", "outcome"),
)
DURATION: Final = Metric(
    "hsmstore_call_duration_seconds",
    Kind.HISTOGRAM,
    "Time from the complete request to its answer, waiting for a thread included.",
    ("operation",),
)
KEY_STORES: Final = Metric(
    "hsmstore_key_stores",
    Kind.GAUGE,
    "Key stores of all accounts and Regions, by ConnectionState. Left out while the registry cannot be read.",
    ("state",),
)
REGISTRY: Final = Metric("hsmstore_registry_up", Kind.GAUGE, "1 where the registry could be read, else 0.")
SESSIONS: Final = Metric(
    "hsmstore_hsm_sessions", Kind.GAUGE, "Logged-in sessions of kmsuser that this process draws from."
)
HSM_ERRORS: Final = Metric(
    "hsmstore_hsm_errors_total",
    Kind.COUNTER,
    "Errors that PKCS#11 modules have returned, by the name of the CKR; Other is one without a name.",
    ("ckr",),
)
WAITING: Final = Metric(
    "hsmstore_waiting_calls",
    Kind.GAUGE,
    "Calls in the threads or waiting for one; those of the management API, such as a scrape, are reserved.",
    ("threads",),
)
CONNECTIONS: Final = Metric("hsmstore_http_connections", Kind.GAUGE, "Clients that are connected.")
LEASE: Final = Metric(
    "hsmstore_lease_remaining_seconds",
    Kind.GAUGE,
    "What is left of a replica's lease; below zero it has lapsed. A server without replicas has none.",
)
BUILD: Final = Metric(
    "hsmstore_build_info", Kind.GAUGE, "Always 1; the labels tell what is running.", ("version", "profile")
)

CATALOGUE: Final = (
    *(CALLS, DURATION, KEY_STORES, REGISTRY, SESSIONS, HSM_ERRORS, WAITING, CONNECTIONS, LEASE, BUILD),
)
"""In the order in which a scrape has them. A metric without a sample yet has its help lines alone."""
