"""An event happens to a key store: in its row and in its history, in one transaction."""

from hsmstore.domain.connection import Event
from hsmstore.domain.keystore import KeyStore, KeyStoreEvent
from hsmstore.domain.ports import ConnectFailed, Unit
from hsmstore.domain.trail import UNRECORDED, Recording
from hsmstore.service.world import World


def advance(
    world: World,
    store: KeyStore,
    event: Event,
    *,
    due_at: float | None = None,
    failure: ConnectFailed | None = None,
    recording: Recording = UNRECORDED,
) -> KeyStore:
    """Let `event` happen to the store, in the registry and in its history.

    Raises:
        CustomKeyStoreInvalidStateException: the state machine refuses the event.
        Conflict: the row changed meanwhile.

    """
    with world.registry.writing() as unit:
        after = advance_in(unit, store, event, world.clock.now(), due_at=due_at, failure=failure)
        recording.commit(unit)
    return after


def advance_in(
    unit: Unit,
    store: KeyStore,
    event: Event,
    now: float,
    *,
    due_at: float | None = None,
    failure: ConnectFailed | None = None,
) -> KeyStore:
    """Let `event` happen to the store at `now`, as part of a transaction.

    Raises:
        CustomKeyStoreInvalidStateException, Conflict: as `advance`.

    """
    code = None if failure is None else failure.code
    after = unit.replace_key_store(store, store.after(event, now, due_at=due_at, error_code=code))
    unit.record(
        KeyStoreEvent(
            key_store_id=store.id,
            at=now,
            event=event,
            state=after.state,
            error_code=code,
            detail="" if failure is None else failure.reason,
        )
    )
    return after
