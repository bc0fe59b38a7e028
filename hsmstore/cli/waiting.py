"""Waiting for a key store to come to rest."""

from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta

from hsmstore.cli.client import Answer, Simulator
from hsmstore.cli.clock import pauses
from hsmstore.cli.views import StoreView

ON_THE_WAY: Final = frozenset({"CONNECTING", "DISCONNECTING"})

OneEntry = Annotated[list[Answer], Meta(min_length=1, max_length=1)]

Tell = Callable[[str, float], None]
"""Is told a state and for how many seconds it has been waited."""


class Unsettled(Exception):
    """The key store did not come to the state that was asked for."""


def entry_of(simulator: Simulator, key_store_id: str) -> Answer:
    """Return the key store's entry in DescribeCustomKeyStores."""
    answer = simulator.kms("DescribeCustomKeyStores", CustomKeyStoreId=key_store_id)
    return simulator.read(answer.get("CustomKeyStores"), OneEntry)[0]


def describe(simulator: Simulator, key_store_id: str) -> StoreView:
    """Return the key store as it is now."""
    return simulator.read(entry_of(simulator, key_store_id), StoreView)


def settled(simulator: Simulator, key_store_id: str, *, timeout: float, tell: Tell) -> StoreView:
    """Wait until the key store is neither CONNECTING nor DISCONNECTING; return it.

    Raises:
        Unsettled: it still is, after `timeout` seconds.

    """
    for elapsed in pauses(timeout):
        store = describe(simulator, key_store_id)
        tell(store.connection_state, elapsed)
        if store.connection_state not in ON_THE_WAY:
            return store
    raise Unsettled(f"{key_store_id} is still not settled after {timeout:g} seconds; it goes on by itself")


def require_state(store: StoreView, state: str) -> None:
    """Check where the wait has ended.

    Raises:
        Unsettled: the store is not in `state`; the text has the ConnectionErrorCode.

    """
    if store.connection_state == state:
        return
    key_store_id = store.custom_key_store_id
    if store.connection_error_code is None:
        raise Unsettled(f"{key_store_id} is {store.connection_state}, not {state}")
    raise Unsettled(
        f"{key_store_id} is {store.connection_state}: {store.connection_error_code}; "
        f"disconnect it, mend the cause, connect it again"
    )
