"""What the console has of other rooms' tables: acts, the machine's picture, the ways out."""

from hsmstore.console import machine
from hsmstore.console.acts import ACTS, PREFIX, ManagementAct
from hsmstore.console.fixing import Site, fix_of
from hsmstore.control import routes
from hsmstore.domain.connection import TRANSITIONS, ConnectionState, Event
from hsmstore.domain.keystore import ConnectionErrorCode
from hsmstore.service.explain import EventDescription, Explanation
from hsmstore.wire.operations import OPERATIONS, TARGET_PREFIX


def test_every_act_is_an_api_call() -> None:
    """An act is a route of the management API, which its document lists, or an operation of KMS."""
    by_path = {(route.method, route.path): route.serve for route in routes.ROUTES}
    assert routes.PREFIX == PREFIX
    for act in ACTS.values():
        if isinstance(act, ManagementAct):
            assert by_path[act.method, act.path] is act.serve
        else:
            assert TARGET_PREFIX + act.name in OPERATIONS


def test_everything_that_changes_something_is_an_act() -> None:
    """The console can do whatever the management API can, but for the keys on a token."""
    acts = {act.serve for act in ACTS.values() if isinstance(act, ManagementAct)}
    missing = {route.path for route in routes.ROUTES if route.method != "GET" and route.serve not in acts}
    assert missing == {"/clusters/{ClusterId}/keys/{KeyId}"}


def test_what_is_typed_is_quoted() -> None:
    """A name with spaces or worse is one word of the command."""
    said = ACTS["CreateCustomKeyStore"].says({"CustomKeyStoreName": "a; rm -rf '~'"})
    assert said.command == """hsmstore store create 'a; rm -rf '"'"'~'"'"''"""


def test_the_picture_is_the_table() -> None:
    """Each state is one box and each transition one arrow, in its place within the picture."""
    picture = machine.of_all({ConnectionState.CONNECTED: 3})
    assert [node.state for node in picture.nodes] == list(ConnectionState)
    assert [(edge.event, edge.before, edge.after) for edge in picture.edges] == list(TRANSITIONS)
    assert len({edge.line.path for edge in picture.edges}) == len(TRANSITIONS)
    for node in picture.nodes:
        assert 0 <= node.x < node.x + node.width <= picture.width
        assert 0 <= node.y < node.y + node.height <= picture.height
    assert [node.stores for node in picture.nodes if node.lit] == [3]


def test_the_way_it_came() -> None:
    """The last life of a store is lit, each step with its distance; what changed nothing is no step."""
    events = ["created", "connect", "connect_failed", "disconnect", "disconnect_completed", "updated"]
    picture = machine.of_one(ConnectionState.CONNECTED, [*events, "connect", "connect_succeeded"])
    steps = {(edge.event, edge.before): edge.step for edge in picture.edges if edge.step}
    assert steps == {
        (Event.CONNECT_SUCCEEDED, ConnectionState.CONNECTING): 1,
        (Event.CONNECT, ConnectionState.DISCONNECTED): 2,
    }
    assert picture.words.endswith("DISCONNECTED, connect → CONNECTING, connect_succeeded → CONNECTED.")
    around = machine.of_one(ConnectionState.DISCONNECTED, events)
    assert sorted(edge.step for edge in around.edges if edge.step) == [1, 2, 3, 4]


def _explanation(*events: str, state: ConnectionState, code: ConnectionErrorCode) -> Explanation:
    history = [
        EventDescription(
            at=float(number),
            event=event,
            connection_state=state,
            connection_error_code=code if event == "connect_failed" else None,
        )
        for number, event in enumerate(events)
    ]
    return Explanation(
        custom_key_store_id="cks-1",
        custom_key_store_name="one",
        connection_state=state,
        since=0.0,
        why="",
        fix=[],
        history=history,
        history_count=len(history),
    )


def test_a_way_out_stays_until_the_next_connect() -> None:
    """After the disconnect the way out goes on; with another connect it is over."""
    code = ConnectionErrorCode.XKS_PROXY_NOT_REACHABLE
    events = ["connect", "connect_failed", "disconnect", "disconnect_completed"]
    away = fix_of(_explanation(*events, state=ConnectionState.DISCONNECTED, code=code), Site())
    assert away is not None
    assert away.current == len(away.steps) - 1
    again = fix_of(_explanation(*events, "connect", state=ConnectionState.CONNECTING, code=code), Site())
    assert again is None
