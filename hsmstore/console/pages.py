"""The pages: which there are, and what each shows, gathered from the services."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from hsmstore.console import machine
from hsmstore.console.acts import PREFIX
from hsmstore.console.fixing import fix_of
from hsmstore.domain.connection import ALLOWED, Action
from hsmstore.domain.errors import CloudHsmResourceNotFoundException
from hsmstore.domain.faults import OPERATIONS, Effect, Phase
from hsmstore.domain.keystore import ConnectionErrorCode, KeyStoreType
from hsmstore.domain.profile import PHASES
from hsmstore.service import backups, clock, clusters, explain, faults, overview
from hsmstore.service.describe import DescribeCustomKeyStoresRequest, describe_custom_key_stores
from hsmstore.service.world import Call, World

HOME: Final = f"{PREFIX}/"
BELOW: Final = f"{PREFIX}/console"

RECENT: Final = 12  # rows of calls beside other things
CLUSTERS_MAX: Final = 50  # shown at a time

Query = Mapping[str, str]


class View(NamedTuple):
    """What a page shows: what makes its ETag, so without what the time of day is."""

    template: str
    title: str
    here: str
    data: dict[str, Any]


Builder = Callable[[World, str, Query], View]


def home(world: World, _: str, query: Query) -> View:
    """Gather the key stores, the clusters and the last calls."""
    call = _call(world)
    found = overview.list_states(overview.ListStatesRequest(), call, world)
    sought = query.get("find", "").strip()
    stores = [store for store in found.key_stores if _is_sought(store, sought)]
    counts = Counter(store.connection_state for store in found.key_stores)
    failed = [store for store in stores if store.connection_error_code]
    explanations = {
        store.custom_key_store_id: _explained(world, store.custom_key_store_id) for store in failed
    }
    return View(
        "home.html",
        "Key stores",
        "home",
        {
            "stores": stores,
            "count": found.count,
            "shown": len(found.key_stores),
            "sought": sought,
            "picture": machine.of_all(counts),
            "clusters": _clusters(world),
            "unused": _unused(world, found),
            **_recent(world, overview.ListRecordsRequest()),
            "explanations": explanations,
            "fixes": {
                store.custom_key_store_id: fix_of(
                    explanations[store.custom_key_store_id],
                    _cluster_or_none(world, store.cloud_hsm_cluster_id),
                )
                for store in failed
            },
        },
    )


def key_store(world: World, key_store_id: str, _: Query) -> View:
    """Gather what there is to know of one key store."""
    explanation = _explained(world, key_store_id)
    request = DescribeCustomKeyStoresRequest(custom_key_store_id=key_store_id)
    (entry,) = describe_custom_key_stores(request, _call(world), world).custom_key_stores
    cluster = _cluster_or_none(world, entry.cloud_hsm_cluster_id)
    found = overview.list_states(overview.ListStatesRequest(), _call(world), world)
    return View(
        "key_store.html",
        entry.custom_key_store_name,
        "home",
        {
            "entry": entry,
            "explanation": explanation,
            "picture": machine.of_one(
                explanation.connection_state, [event.event for event in explanation.history]
            ),
            "fix": fix_of(explanation, cluster),
            "cluster": cluster,
            "relatives": _unused(world, found),
            "allowed": {action.name for action in Action if explanation.connection_state in ALLOWED[action]},
            **_recent(world, overview.ListRecordsRequest(custom_key_store_id=key_store_id)),
        },
    )


def all_clusters(world: World, _: str, __: Query) -> View:
    """Gather the clusters and their backups."""
    found = _clusters(world)
    return View(
        "clusters.html",
        "Clusters",
        "clusters",
        {
            "clusters": found[:CLUSTERS_MAX],
            "count": len(found),
            "stores": _stores_by_cluster(world),
            "backups": backups.list_backups(backups.ListBackupsRequest(), _call(world), world).backups,
        },
    )


def one_cluster(world: World, cluster_id: str, _: Query) -> View:
    """Gather one cluster."""
    cluster = clusters.describe_cluster(clusters.ClusterRequest(cluster_id=cluster_id), _call(world), world)
    made = backups.list_backups(backups.ListBackupsRequest(), _call(world), world).backups
    return View(
        "cluster.html",
        cluster_id,
        "clusters",
        {
            "cluster": cluster,
            "store": _stores_by_cluster(world).get(cluster_id),
            "backups": [backup for backup in made if backup.cluster_id == cluster_id],
        },
    )


def plan(world: World, _: str, __: Query) -> View:
    """Gather the clock and the fault plan."""
    found = overview.list_states(overview.ListStatesRequest(), _call(world), world)
    pace = {
        profile: PHASES[profile, KeyStoreType.AWS_CLOUDHSM]
        for profile, kind in PHASES
        if kind is KeyStoreType.AWS_CLOUDHSM
    }
    return View(
        "plan.html",
        "Faults and clock",
        "plan",
        {
            "faults": faults.list_faults(faults.ListFaultsRequest(), _call(world), world).faults,
            "stores": found.key_stores,
            "phases": list(Phase),
            "operations": sorted(OPERATIONS),
            "effects": list(Effect),
            "codes": list(ConnectionErrorCode),
            "pace": pace[world.terms.profile],
        },
    )


def trail(world: World, _: str, query: Query) -> View:
    """Gather the last records of the trail that fit the query."""
    sought = {name: query.get(name, "").strip() for name in ("event", "error", "store")}
    errors = query.get("errors") == "on"
    request = overview.ListRecordsRequest(
        event=sought["event"] or None,
        error=sought["error"] or None,
        custom_key_store_id=sought["store"] or None,
        only_errors=errors,
    )
    return View(
        "trail.html",
        "Trail",
        "trail",
        {
            "records": overview.list_records(request, _call(world), world),
            "sought": sought,
            "errors": errors,
            "events": sorted(OPERATIONS),
        },
    )


_ROWS: Final[tuple[tuple[str, Builder], ...]] = (
    (HOME, home),
    (f"{BELOW}/key-stores/{{item}}", key_store),
    (f"{BELOW}/clusters", all_clusters),
    (f"{BELOW}/clusters/{{item}}", one_cluster),
    (f"{BELOW}/faults", plan),
    (f"{BELOW}/trail", trail),
)

PATHS: Final = tuple(path for path, _ in _ROWS)

_PATTERNS: Final = tuple(
    (re.compile(re.escape(path).replace(r"\{item\}", "([^/]+)")), builder) for path, builder in _ROWS
)


def gather(world: World, path: str, query: Query) -> View:
    """Return what the page at `path`, percent-decoded, shows.

    Raises:
        CloudHsmResourceNotFoundException: there is no such page, or nothing of that id.

    """
    for pattern, builder in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is not None:
            return builder(world, match[1] if pattern.groups else "", query)
    raise CloudHsmResourceNotFoundException(f"There is no page {path}.")


def key_store_page(key_store_id: str) -> str:
    """Return the path of a key store's page."""
    return f"{BELOW}/key-stores/{quote(key_store_id, safe='')}"


def cluster_page(cluster_id: str) -> str:
    """Return the path of a cluster's page."""
    return f"{BELOW}/clusters/{quote(cluster_id, safe='')}"


def told_clock(world: World) -> clock.ClockDescription:
    """Return what the clock shows."""
    return clock.show_clock(clock.ShowClockRequest(), _call(world), world)


def _call(world: World) -> Call:
    return Call(world.home, "")  # nothing is logged of what a page reads


def _is_sought(store: overview.StateDescription, sought: str) -> bool:
    words = sought.casefold()
    return words in store.custom_key_store_name.casefold() or words in store.custom_key_store_id


def _explained(world: World, key_store_id: str) -> explain.Explanation:
    return explain.explain_key_store(
        explain.ExplainRequest(custom_key_store_id=key_store_id), _call(world), world
    )


def _recent(world: World, request: overview.ListRecordsRequest) -> dict[str, Any]:
    """Return the last calls; of those that are alike in a row, as of a client that polls, the last."""
    found = overview.list_records(request, _call(world), world)
    rows = list[tuple[dict[str, Any], int]]()
    for _, alike in groupby(found.records, key=_kind):
        first, *others = alike
        rows.append((first, 1 + len(others)))
    return {"records": found, "rows": rows[:RECENT]}


def _kind(record: dict[str, Any]) -> tuple[Any, ...]:
    about = frozenset(overview.stores_of(record))
    return record["eventName"], record.get("errorCode"), record["userIdentity"], about


def _clusters(world: World) -> list[clusters.ClusterDescription]:
    request = clusters.ListClustersRequest(account_id=world.home.account, region=world.home.region)
    return clusters.list_clusters(request, _call(world), world).clusters


def _cluster_or_none(world: World, cluster_id: str | None) -> clusters.ClusterDescription | None:
    if cluster_id is None:
        return None
    try:
        return clusters.describe_cluster(clusters.ClusterRequest(cluster_id=cluster_id), _call(world), world)
    except CloudHsmResourceNotFoundException:
        return None


def _unused(world: World, found: overview.ListStatesResponse) -> list[str]:
    """Return the clusters that no key store stands on."""
    used = {store.cloud_hsm_cluster_id for store in found.key_stores}
    ids = (cluster.cloud_hsm_cluster_id for cluster in _clusters(world))
    return [cluster_id for cluster_id in ids if cluster_id not in used]


def _stores_by_cluster(world: World) -> dict[str, overview.StateDescription]:
    found = overview.list_states(overview.ListStatesRequest(), _call(world), world)
    return {store.cloud_hsm_cluster_id: store for store in found.key_stores if store.cloud_hsm_cluster_id}
