"""The ConnectionState machine of a custom key store.

Rules, each from the KMS API model's text on the operation or on `CustomKeyStoresListEntry`:

- A new store is DISCONNECTED.
- ConnectCustomKeyStore starts CONNECTING and answers; the outcome, CONNECTED or FAILED, comes later.
  It is refused in DISCONNECTING and FAILED and valid in all other states; where there is nothing left
  to start (CONNECTING, CONNECTED) it changes nothing.
- DisconnectCustomKeyStore starts DISCONNECTING; DISCONNECTED comes later.
  It is refused in DISCONNECTING and DISCONNECTED. It is the only way out of FAILED.
- Trouble in the backing cluster never moves a CONNECTED store.

The table answers which state comes next, or that the event is refused; the services act on the answer.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from transitions import Machine, MachineError


class ConnectionState(StrEnum):
    """`ConnectionStateType` of the service model."""

    DISCONNECTED = "DISCONNECTED"
    CONNECTING = "CONNECTING"
    CONNECTED = "CONNECTED"
    DISCONNECTING = "DISCONNECTING"
    FAILED = "FAILED"


class Event(StrEnum):
    """What can happen to a connection."""

    CONNECT = "connect"
    CONNECT_SUCCEEDED = "connect_succeeded"
    CONNECT_FAILED = "connect_failed"
    DISCONNECT = "disconnect"
    DISCONNECT_COMPLETED = "disconnect_completed"


class Action(StrEnum):
    """What a caller may ask of a store, as finely as the documentation distinguishes states."""

    DESCRIBE = "DescribeCustomKeyStores"
    CONNECT = "ConnectCustomKeyStore"
    DISCONNECT = "DisconnectCustomKeyStore"
    RENAME = "UpdateCustomKeyStore (NewCustomKeyStoreName)"
    UPDATE_CLUSTER = "UpdateCustomKeyStore (KeyStorePassword, CloudHsmClusterId)"
    UPDATE_PROXY_CREDENTIAL = "UpdateCustomKeyStore (XksProxyAuthenticationCredential, XksProxyUriPath)"
    UPDATE_PROXY_ENDPOINT = (
        "UpdateCustomKeyStore (XksProxyUriEndpoint, XksProxyConnectivity, XksProxyVpcEndpointService…)"
    )
    DELETE = "DeleteCustomKeyStore"
    CREATE_KEY = "CreateKey"
    GENERATE_RANDOM = "GenerateRandom"


_S = ConnectionState

TRANSITIONS: Final[tuple[tuple[Event, ConnectionState, ConnectionState], ...]] = (
    (Event.CONNECT, _S.DISCONNECTED, _S.CONNECTING),
    (Event.CONNECT, _S.CONNECTING, _S.CONNECTING),
    (Event.CONNECT, _S.CONNECTED, _S.CONNECTED),
    (Event.CONNECT_SUCCEEDED, _S.CONNECTING, _S.CONNECTED),
    (Event.CONNECT_FAILED, _S.CONNECTING, _S.FAILED),
    (Event.DISCONNECT, _S.CONNECTING, _S.DISCONNECTING),
    (Event.DISCONNECT, _S.CONNECTED, _S.DISCONNECTING),
    (Event.DISCONNECT, _S.FAILED, _S.DISCONNECTING),
    (Event.DISCONNECT_COMPLETED, _S.DISCONNECTING, _S.DISCONNECTED),
)
"""(event, before, after). A row that stays where it is accepts the event and changes nothing."""


class _Walker:
    """A token on the machine's board: `transitions` moves its `state`."""

    state: ConnectionState


_machine = Machine(
    model=None,
    states=_S,
    initial=_S.DISCONNECTED,
    transitions=[[event.value, before, after] for event, before, after in TRANSITIONS],
    auto_transitions=False,  # otherwise any state could be jumped to by name
    queued=False,  # a queued trigger reports success even when it was refused
)


def _walk(state: ConnectionState, event: Event) -> ConnectionState | None:
    walker = _Walker()
    _machine.add_model(walker, initial=state)
    try:
        walker.trigger(event.value)  # type: ignore[attr-defined]  # added by the machine
    except MachineError:
        return None
    finally:
        _machine.remove_model(walker)
    return walker.state


_NEXT: Final = {(state, event): _walk(state, event) for state in _S for event in Event}
# A walk of `transitions` takes a quarter of a millisecond, and the machine may not be shared between
# threads while walkers come and go; so the 25 walks there are happen once, here.


def next_state(state: ConnectionState, event: Event) -> ConnectionState | None:
    """Return the state that `event` leads to from `state`, or None where it is refused."""
    return _NEXT[state, event]


def _states_accepting(event: Event) -> frozenset[ConnectionState]:
    return frozenset(state for state in _S if next_state(state, event) is not None)


ALLOWED: Final[Mapping[Action, frozenset[ConnectionState]]] = MappingProxyType(
    {
        Action.DESCRIBE: frozenset(_S),
        Action.CONNECT: _states_accepting(Event.CONNECT),
        Action.DISCONNECT: _states_accepting(Event.DISCONNECT),
        Action.RENAME: frozenset({_S.CONNECTED, _S.DISCONNECTED}),
        Action.UPDATE_CLUSTER: frozenset({_S.DISCONNECTED}),
        Action.UPDATE_PROXY_CREDENTIAL: frozenset({_S.CONNECTED, _S.DISCONNECTED}),
        Action.UPDATE_PROXY_ENDPOINT: frozenset({_S.DISCONNECTED}),
        Action.DELETE: frozenset({_S.DISCONNECTED}),
        Action.CREATE_KEY: frozenset({_S.CONNECTED}),
        Action.GENERATE_RANDOM: frozenset({_S.CONNECTED}),
    }
)
"""In which states each action is allowed."""
