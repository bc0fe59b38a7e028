"""The pages: which there are, and what each shows, gathered from the services."""

import re
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from hsmstore.console import machine
from hsmstore.console.acts import PREFIX
from hsmstore.console.fixing import Site, fix_of
from hsmstore.domain.connection import ALLOWED, Action
from hsmstore.domain.errors import CloudHsmInvalidRequestException, CloudHsmResourceNotFoundException
from hsmstore.domain.faults import OPERATIONS, Effect, Phase
from hsmstore.domain.keystore import ConnectionErrorCode, KeyStoreType
from hsmstore.domain.profile import PHASES
from hsmstore.service import backups, clock, clusters, explain, faults, overview
from hsmstore.service.describe import (
    CustomKeyStoresListEntry,
    DescribeCustomKeyStoresRequest,
    describe_custom_key_stores,
)
from hsmstore.service.world import Call, World

HOME: Final = f"{PREFIX}/"
BELOW: Final = f"{PREFIX}/console"

RECENT: Final = 12  # rows of calls beside other things
SHOWN: Final = 50  # key stores, clusters or backups on a page, clusters to choose from
EVENTS: Final = 50  # of a history: more than its page shows, for the way that the store came

Query = Mapping[str, str]

T = TypeVar("T")


class View(NamedTuple):
    """What a page shows: what makes its ETag, so without what the time of day is."""

    template: str
    title: str
    here: str
    data: dict[str, Any]


class Part(NamedTuple, Generic[T]):
    """What a page shows of a list: after which item, of how many, and after which the next page goes on."""

    shown: list[T]
    total: int
    after: str
    next: str | None


Builder = Callable[[World, str, Query], View]


def home(world: World, _: str, query: Query) -> View:
    """Gather a page of key stores, the clusters and the last calls."""
    sought, after = query.get("find", "").strip(), query.get("after", "")
    found = _stores(world, SHOWN, sought, after)
    spare = [cluster.cloud_hsm_cluster_id for cluster in overview.spare_clusters(world)]
    failed = [store.custom_key_store_id for store in found.key_stores if store.connection_error_code]
    return View(
        "home.html",
        "Key stores",
        "home",
        {
            "stores": Part(found.key_stores, found.count, after, found.next_marker),
            "total": sum(found.states.values()),
            "sought": sought,
            "picture": machine.of_all(found.states),
            "clusters": _clusters(world),
            "spare": spare[-SHOWN:],
            "spare_count": len(spare),
            **_recent(world, overview.ListRecordsRequest()),
            "explanations": {key_store_id: _explained(world, key_store_id) for key_store_id in failed},
        },
    )


def key_store(world: World, key_store_id: str, _: Query) -> View:
    """Gather what there is to know of one key store."""
    explanation = _explained(world, key_store_id)
    request = DescribeCustomKeyStoresRequest(custom_key_store_id=key_store_id)
    (entry,) = describe_custom_key_stores(request, _call(world), world).custom_key_stores
    site = _site(world, entry)
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
            "fix": fix_of(explanation, site),
            "cluster": site.cluster,
            "relatives": [cluster.cloud_hsm_cluster_id for cluster in site.relatives[-SHOWN:]],
            "allowed": {action.name for action in Action if explanation.connection_state in ALLOWED[action]},
            **_recent(world, overview.ListRecordsRequest(custom_key_store_id=key_store_id)),
        },
    )


def all_clusters(world: World, _: str, query: Query) -> View:
    """Gather a page of clusters, and one of backups."""
    found = _part({each.cloud_hsm_cluster_id: each for each in _clusters(world)}, query.get("after", ""))
    return View(
        "clusters.html",
        "Clusters",
        "clusters",
        {
            "clusters": found,
            "stores": overview.stores_on(world, found.shown),
            "backups": _page_of(_backups(world), query),
        },
    )


def one_cluster(world: World, cluster_id: str, query: Query) -> View:
    """Gather one cluster, and a page of its backups."""
    cluster = clusters.describe_cluster(clusters.ClusterRequest(cluster_id=cluster_id), _call(world), world)
    return View(
        "cluster.html",
        cluster_id,
        "clusters",
        {
            "cluster": cluster,
            "store": overview.stores_on(world, [cluster]).get(cluster_id),
            "backups": _page_of(_backups(world, cluster_id), query),
        },
    )


def plan(world: World, _: str, __: Query) -> View:
    """Gather the clock and the fault plan."""
    found = _stores(world, overview.STORES_MAX)
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
            "faults": _faults(world),
            "stores": found.key_stores,
            "count": found.count,
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


def _part(found: Mapping[str, T], after: str) -> Part[T]:
    """Return a page of what was found, by its ids: what comes after one of them."""
    ids = list(found)
    first = ids.index(after) + 1 if after in found else 0
    shown, others = ids[first : first + SHOWN], ids[first + SHOWN :]
    return Part([found[each] for each in shown], len(ids), after, shown[-1] if others else None)


def _stores(world: World, limit: int, find: str = "", after: str = "") -> overview.ListStatesResponse:
    """Return a page of key stores.

    Raises:
        CloudHsmInvalidRequestException: the query is no link's of ours.

    """
    members = {name: value for name, value in (("Find", find), ("Marker", after)) if value}
    try:
        request = msgspec.convert({**members, "Limit": limit}, overview.ListStatesRequest)
    except msgspec.ValidationError as error:
        raise CloudHsmInvalidRequestException("There is no such page of key stores.") from error
    return overview.list_states(request, _call(world), world)


def _explained(world: World, key_store_id: str) -> explain.Explanation:
    request = explain.ExplainRequest(custom_key_store_id=key_store_id, limit=EVENTS)
    return explain.explain_key_store(request, _call(world), world)


def _site(world: World, entry: CustomKeyStoresListEntry) -> Site:
    """Return what stands behind a key store; behind an external one, nothing that is known here."""
    cluster_id = entry.cloud_hsm_cluster_id
    if cluster_id is None:
        return Site()
    return Site(
        _cluster_or_none(world, cluster_id),
        _backups(world, cluster_id),
        [
            cluster
            for cluster in overview.spare_clusters(world)
            if cluster.trust_anchor_certificate == entry.trust_anchor_certificate
        ],
        _faults(world),
    )


def _backups(world: World, cluster_id: str | None = None) -> list[backups.BackupDescription]:
    """Return the backups, or those of one cluster."""
    found = backups.list_backups(backups.ListBackupsRequest(), _call(world), world).backups
    return [backup for backup in found if cluster_id in {None, backup.cluster_id}]


def _page_of(found: list[backups.BackupDescription], query: Query) -> Part[backups.BackupDescription]:
    return _part({backup.backup_id: backup for backup in found}, query.get("backups", ""))


def _faults(world: World) -> list[faults.FaultDescription]:
    return faults.list_faults(faults.ListFaultsRequest(), _call(world), world).faults


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


def _cluster_or_none(world: World, cluster_id: str) -> clusters.ClusterDescription | None:
    try:
        return clusters.describe_cluster(clusters.ClusterRequest(cluster_id=cluster_id), _call(world), world)
    except CloudHsmResourceNotFoundException:
        return None
