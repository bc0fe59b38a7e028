"""What there is at a glance: the key stores of a scope with their phases, and the last calls of the trail."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import CloudHsmBacking, ConnectionErrorCode, KeyStore, KeyStoreType
from hsmstore.domain.limits import KEY_STORE_NAME_MAX
from hsmstore.service import lifecycle
from hsmstore.service.clusters import ClusterDescription, describe
from hsmstore.service.shapes import AccountId, Request, Response, text
from hsmstore.service.world import Call, World

STORES_MAX: Final = 200  # on a page
RECORDS_MAX: Final = 500
RECORDS: Final = 100  # shown unless it is said
SEARCHED: Final = 5_000  # records that are looked through, the last first

Region = Annotated[str, text(1, 64, r"[a-z0-9-]+")]


Place = Annotated[str, text(1, 100, r"[0-9]+\.[0-9]+,cks-[0-9a-f]+")]
"""Where a page ended: when its last key store was made, and which it is."""


class ListStatesRequest(Request, frozen=True):
    """Whose key stores; the scope is the server's own unless it is said.

    With `find` only those whose name or id has it somewhere, with ASCII's letters in either case. `marker`
    is the `next_marker` of the page before.
    """

    account_id: AccountId | None = None
    region: Region | None = None
    find: Annotated[str, text(1, KEY_STORE_NAME_MAX)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=STORES_MAX)] = STORES_MAX
    marker: Place | None = None


class StateDescription(Response, frozen=True, kw_only=True):
    """A key store and its phase; `since` and `due` are in seconds since the epoch."""

    custom_key_store_id: str
    custom_key_store_name: str
    custom_key_store_type: KeyStoreType
    cloud_hsm_cluster_id: str | None = None
    connection_state: ConnectionState
    connection_error_code: ConnectionErrorCode | None = None
    creation_date: float
    since: float
    due: float | None = None


class ListStatesResponse(Response, frozen=True):
    """A page of key stores, oldest first; `count` tells how many all pages have.

    `states` tells how many of the scope are in each state that one is in, whatever is sought.
    """

    key_stores: list[StateDescription]
    count: int
    states: Mapping[ConnectionState, int]
    next_marker: str | None = None


class ListRecordsRequest(Request, frozen=True):
    """Which records of the trail: the last, or the last of those that fit all that is given."""

    event: Annotated[str, text(1, 128)] | None = None
    error: Annotated[str, text(1, 128)] | None = None
    custom_key_store_id: Annotated[str, text(1, 64)] | None = None
    only_errors: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=RECORDS_MAX)] = RECORDS

    def fits(self, record: dict[str, Any]) -> bool:
        """Tell whether a record is one of these."""
        return (
            self.event in {None, record["eventName"]}
            and self.error in {None, record.get("errorCode")}
            and not (self.only_errors and "errorCode" not in record)
            and (self.custom_key_store_id is None or self.custom_key_store_id in stores_of(record))
        )


class ListRecordsResponse(Response, frozen=True):
    """Records as they stand in the trail, the newest first. Without a trail `recorded` is False."""

    records: list[dict[str, Any]]
    recorded: bool


def list_states(request: ListStatesRequest, _: Call, world: World) -> ListStatesResponse:
    """List a page of key stores with their states and phases, and count them; what is due is settled."""
    lifecycle.settle(world)
    scope = Scope(request.account_id or world.home.account, request.region or world.home.region)
    find, after = request.find or "", None
    if request.marker is not None:
        created_at, key_store_id = request.marker.split(",")
        after = float(created_at), key_store_id
    with world.registry.reading() as unit:
        stores = unit.key_stores(scope, find=find, after=after, limit=request.limit + 1)
        states = unit.key_store_states(scope)
        count = unit.count_key_stores(scope, find) if find else sum(states.values())
    shown = stores[: request.limit]
    return ListStatesResponse(
        key_stores=[_state(store) for store in shown],
        count=count,
        states=states,
        next_marker=f"{shown[-1].created_at},{shown[-1].id}" if len(stores) > len(shown) else None,
    )


def spare_clusters(world: World) -> list[ClusterDescription]:
    """Return the clusters of the server's own scope that no key store stands on, oldest first."""
    with world.registry.reading() as unit:
        in_use = unit.clusters_in_use()
        return [describe(cluster) for cluster in unit.clusters(world.home) if cluster.id not in in_use]


def stores_on(world: World, clusters: Iterable[ClusterDescription]) -> dict[str, StateDescription]:
    """Return the key stores that stand on clusters, by the clusters' ids."""
    with world.registry.reading() as unit:
        ids = (cluster.cloud_hsm_cluster_id for cluster in clusters)
        found = {cluster_id: unit.key_store_of_cluster(cluster_id) for cluster_id in ids}
    return {cluster_id: _state(store) for cluster_id, store in found.items() if store is not None}


def list_records(request: ListRecordsRequest, _: Call, world: World) -> ListRecordsResponse:
    """List the last records of this server's trail, the newest first."""
    if world.trail is None:
        return ListRecordsResponse(records=[], recorded=False)
    sought = request != ListRecordsRequest(limit=request.limit)
    lines = world.trail.latest(SEARCHED if sought else request.limit)
    found: list[dict[str, Any]] = []
    for line in reversed(lines):
        record = msgspec.json.decode(line, type=dict[str, Any])
        if request.fits(record):
            found.append(record)
            if len(found) == request.limit:
                break
    return ListRecordsResponse(records=found, recorded=True)


def stores_of(record: dict[str, Any]) -> set[str]:
    """Return the ids of the key stores that a record names."""
    places = [
        record.get(name) or {} for name in ("requestParameters", "responseElements", "additionalEventData")
    ]
    places += [place["keyMetadata"] for place in places if "keyMetadata" in place]
    return {str(place["customKeyStoreId"]) for place in places if place.get("customKeyStoreId")}


def _state(store: KeyStore) -> StateDescription:
    backing = store.backing
    return StateDescription(
        custom_key_store_id=store.id,
        custom_key_store_name=store.name,
        custom_key_store_type=store.type,
        cloud_hsm_cluster_id=backing.cluster_id if isinstance(backing, CloudHsmBacking) else None,
        connection_state=store.state,
        connection_error_code=store.error_code,
        creation_date=round(store.created_at, 3),
        since=round(store.state_since, 3),
        due=store.due_at and round(store.due_at, 3),
    )
