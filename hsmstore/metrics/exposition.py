"""A scrape: what has been counted, and how things stand at this moment."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric as Family

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.errors import EnvironmentUnfit
from hsmstore.domain.ports import Registry
from hsmstore.domain.tally import BOUNDS, Latency, Tally
from hsmstore.metrics import catalogue
from hsmstore.metrics.catalogue import Metric

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Standing(NamedTuple):
    """How to learn how things stand. `lease` gives seconds, or None where there is no lease to lapse."""

    sessions: Callable[[], int]
    waiting: Callable[[], Mapping[str, int]]
    connections: Callable[[], int]
    lease: Callable[[], float | None]
    build: Callable[[], tuple[str, ...]]


class Exposition:
    """What Prometheus is answered. Each server has one: the library's own registry belongs to a process."""

    def __init__(self, tally: Tally, registry: Registry, standing: Standing) -> None:
        """Take what is told."""
        self._tally = tally
        self._registry = registry
        self._standing = standing
        self._collectors = CollectorRegistry()
        self._collectors.register(self)
        ProcessCollector(registry=self._collectors)
        GCCollector(registry=self._collectors)

    def text(self) -> bytes:
        """Return everything in Prometheus's text format, version 0.0.4."""
        return generate_latest(self._collectors)

    def describe(self) -> list[Family]:
        """Name the metrics without looking at anything: the library asks when it registers."""
        return [Family(metric.family, metric.meaning, metric.kind) for metric in catalogue.CATALOGUE]

    def collect(self) -> Iterator[Family]:
        """Yield every metric of the catalogue, in its order."""
        calls = self._tally.calls()
        outcomes: dict[tuple[str, ...], int] = {
            (name, outcome): n for name, of in calls.items() for outcome, n in of.outcomes.items()
        }
        yield _counter(catalogue.CALLS, outcomes)
        yield _histogram(catalogue.DURATION, {name: of.latency for name, of in calls.items()})
        states = self._states()
        yield _gauge(catalogue.KEY_STORES, {(state,): n for state, n in (states or {}).items()})
        yield _gauge(catalogue.REGISTRY, {(): states is not None})
        standing = self._standing
        yield _gauge(catalogue.SESSIONS, {(): standing.sessions()})
        yield _counter(catalogue.HSM_ERRORS, {(ckr,): n for ckr, n in self._tally.hsm_errors().items()})
        yield _gauge(catalogue.WAITING, {(name,): n for name, n in standing.waiting().items()})
        yield _gauge(catalogue.CONNECTIONS, {(): standing.connections()})
        lease = standing.lease()
        yield _gauge(catalogue.LEASE, {} if lease is None else {(): lease})
        yield _gauge(catalogue.BUILD, {standing.build(): 1})

    def _states(self) -> dict[str, int] | None:
        """Count the key stores in every state; None where the registry cannot be read."""
        try:
            with self._registry.reading() as unit:
                counted = unit.key_store_states()
        except EnvironmentUnfit:
            return None
        return {state.value: counted.get(state, 0) for state in ConnectionState}


def _counter(metric: Metric, values: Mapping[tuple[str, ...], int]) -> Family:
    family = CounterMetricFamily(metric.family, metric.meaning, labels=metric.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def _gauge(metric: Metric, values: Mapping[tuple[str, ...], float]) -> Family:
    family = GaugeMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, values: Mapping[str, Latency]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for label, latency in values.items():
        bounds, total = [*map(str, BOUNDS), "+Inf"], 0
        buckets = []
        for bound, count in zip(bounds, latency.buckets, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric([label], buckets, latency.seconds)
    return family
