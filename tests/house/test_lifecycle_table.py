"""The machine in domain/connection.py against AWS's words, written out here a second time.

The words are those of botocore's kms/2014-11-01 model: CustomKeyStoreInvalidStateException lists the states
of each operation, UpdateCustomKeyStore those of each property. Where it is newer than the Developer Guide, it
wins: Connect is valid in every state but DISCONNECTING and FAILED (the guide: only in DISCONNECTED).
"""

from hsmstore.domain.connection import ALLOWED, Action, ConnectionState, Event, next_state

LEGAL = """
                         DISCONNECTED  CONNECTING     CONNECTED      DISCONNECTING  FAILED
DESCRIBE                 yes           yes            yes            yes            yes
CONNECT                  yes           yes            yes            no             no
DISCONNECT               no            yes            yes            no             yes
RENAME                   yes           no             yes            no             no
UPDATE_CLUSTER           yes           no             no             no             no
UPDATE_PROXY_CREDENTIAL  yes           no             yes            no             no
UPDATE_PROXY_ENDPOINT    yes           no             no             no             no
DELETE                   yes           no             no             no             no
CREATE_KEY               no            no             yes            no             no
GENERATE_RANDOM          no            no             yes            no             no
"""

NEXT = """
                         DISCONNECTED  CONNECTING     CONNECTED      DISCONNECTING  FAILED
CONNECT                  CONNECTING    CONNECTING     CONNECTED      -              -
CONNECT_SUCCEEDED        -             CONNECTED      -              -              -
CONNECT_FAILED           -             FAILED         -              -              -
DISCONNECT               -             DISCONNECTING  DISCONNECTING  -              DISCONNECTING
DISCONNECT_COMPLETED     -             -              -              DISCONNECTED   -
"""


def _cells(table: str) -> dict[tuple[str, str], str]:
    """Return the table's cells by row and state."""
    header, *rows = (line.split() for line in table.strip().splitlines())
    return {(row[0], state): cell for row in rows for state, cell in zip(header, row[1:], strict=True)}


def test_legality() -> None:
    """Each state allows each action, or refuses it, as documented."""
    assert _cells(LEGAL) == {
        (action.name, state.name): "yes" if state in ALLOWED[action] else "no"
        for action in Action
        for state in ConnectionState
    }


def test_next_state() -> None:
    """Each event leads from each state where the documentation says, or is refused."""
    assert _cells(NEXT) == {
        (event.name, state.name): next_state(state, event) or "-"
        for event in Event
        for state in ConnectionState
    }
