"""Why a key store is in its state, since when, how it came there, and what AWS's documentation says to do."""

from typing import Annotated

import msgspec

from hsmstore.domain.causes import CAUSES
from hsmstore.domain.connection import ConnectionState, Event
from hsmstore.domain.errors import CloudHsmResourceNotFoundException, CustomKeyStoreNotFoundException
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.keystore import CloudHsmBacking, ConnectionErrorCode, KeyStore, KeyStoreEvent
from hsmstore.service import lifecycle
from hsmstore.service.shapes import KeyStoreId, Request, Response
from hsmstore.service.world import Call, World


class ExplainRequest(Request, frozen=True):
    """Which key store, in the server's own scope unless it is said; `limit`: how many of its last events."""

    custom_key_store_id: KeyStoreId
    account_id: str | None = None
    region: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


class EventDescription(Response, frozen=True, kw_only=True):
    """One thing that happened to the store; `at` is in seconds since the epoch."""

    at: float
    event: str
    connection_state: ConnectionState
    connection_error_code: ConnectionErrorCode | None = None
    detail: str | None = None


class Explanation(Response, frozen=True, kw_only=True):
    """A store's state in words. `fix` is the list of commands to type, in order.

    `history` is the last of its `history_count` events.
    """

    custom_key_store_id: str
    custom_key_store_name: str
    connection_state: ConnectionState
    connection_error_code: ConnectionErrorCode | None = None
    since: float
    due: float | None = None
    why: str
    fix: list[str]
    history: list[EventDescription]
    history_count: int


def explain_key_store(request: ExplainRequest, _: Call, world: World) -> Explanation:
    """Explain the state that a key store is in.

    Raises:
        CloudHsmResourceNotFoundException: the scope has none of this id.

    """
    scope = Scope(request.account_id or world.home.account, request.region or world.home.region)
    try:
        store = lifecycle.find(world, scope, request.custom_key_store_id)
    except CustomKeyStoreNotFoundException as error:
        raise CloudHsmResourceNotFoundException(error.message) from error
    with world.registry.reading() as unit:
        history = unit.history(store.id, request.limit)
        count = unit.count_events(store.id)
        is_shut = store.state is ConnectionState.DISCONNECTED
        was_connected = is_shut and unit.count_events(store.id, Event.CONNECT) > 0
    return Explanation(
        custom_key_store_id=store.id,
        custom_key_store_name=store.name,
        connection_state=store.state,
        connection_error_code=store.error_code,
        since=round(store.state_since, 3),
        due=store.due_at and round(store.due_at, 3),
        why=_why(store, history, was_connected=was_connected),
        fix=_fix(world, store),
        history=[_description(event) for event in history],
        history_count=count,
    )


def _why(store: KeyStore, history: list[KeyStoreEvent], *, was_connected: bool) -> str:
    match store.state:
        case ConnectionState.DISCONNECTED:
            return "It was disconnected." if was_connected else "It has never been connected."
        case ConnectionState.CONNECTING:
            return "ConnectCustomKeyStore was called; KMS is connecting it to its cluster."
        case ConnectionState.CONNECTED:
            return "ConnectCustomKeyStore succeeded: KMS is logged in to the cluster as kmsuser."
        case ConnectionState.DISCONNECTING:
            return "DisconnectCustomKeyStore was called; KMS is logging out."
        case ConnectionState.FAILED:
            cause = store.error_code and CAUSES.get(store.error_code)
            meaning = cause.meaning if cause else "The connect failed."
            found = next((event.detail for event in reversed(history) if event.error_code), "")
            return f"{meaning} Found: {found}." if found else meaning


def _fix(world: World, store: KeyStore) -> list[str]:
    """Return the documented way out, with the store's own ids."""
    if store.state is ConnectionState.DISCONNECTED:
        return [f"hsmstore store connect {store.id}"]
    if store.state is not ConnectionState.FAILED:
        return []
    cause = store.error_code and CAUSES.get(store.error_code)
    cluster = store.backing.cluster_id if isinstance(store.backing, CloudHsmBacking) else "CLUSTER"
    mend = [command.format(store=store.id, cluster=cluster) for command in (cause.mend if cause else ())]
    mend = [command.replace("SUBNET", _full_subnet(world, cluster)) for command in mend]
    steps = [f"store disconnect {store.id}", *mend, f"store connect {store.id}"]
    return [f"hsmstore {step}" for step in steps]


def _full_subnet(world: World, cluster_id: str) -> str:
    """Return the subnet of which a command speaks: the first without a free address."""
    with world.registry.reading() as unit:
        cluster = unit.cluster(cluster_id)
    full = (subnet.id for subnet in (cluster.subnets if cluster else ()) if not subnet.free_addresses)
    return next(full, "SUBNET")


def _description(event: KeyStoreEvent) -> EventDescription:
    return EventDescription(
        at=round(event.at, 3),
        event=event.event,
        connection_state=event.state,
        connection_error_code=event.error_code,
        detail=event.detail or None,
    )
