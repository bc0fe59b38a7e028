"""Every reason why a connect fails has its row in the documentation, and every cell of the matrix is true."""

import pytest

from docs.generate import causes, lifecycle, right
from hsmstore.domain.connection import Action, ConnectionState
from hsmstore.domain.keystore import ConnectionErrorCode, KeyStoreType
from tests.wire.test_legality import EXPECTED, INVALID, OK, STATES, UNSUPPORTED

OF_CLOUDHSM = [code for code in ConnectionErrorCode if not code.startswith("XKS")]

CELLS = {
    "describe": Action.DESCRIBE,
    "connect": Action.CONNECT,
    "disconnect": Action.DISCONNECT,
    "rename": Action.RENAME,
    "update password": Action.UPDATE_CLUSTER,
    "update credential": Action.UPDATE_PROXY_CREDENTIAL,
    "update endpoint": Action.UPDATE_PROXY_ENDPOINT,
    "delete": Action.DELETE,
    "generate random": Action.GENERATE_RANDOM,
}
SAID = {"yes": OK, "no change": OK, "InvalidState": INVALID, "UnsupportedOperation": UNSUPPORTED}


@pytest.mark.parametrize("code", OF_CLOUDHSM)
def test_every_code_has_a_row(code: ConnectionErrorCode) -> None:
    """A ConnectionErrorCode of a CloudHSM key store has one row, with a cause and a fix, on the page."""
    rows = [line for line in lifecycle().splitlines() if line.startswith(f"| `{code}` |")]
    assert len(rows) == 1
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert len(cells) == 4
    assert all(cells)


def test_the_codes_are_ten() -> None:
    """The table has AWS's ten codes of CloudHSM key stores and no other."""
    assert len(OF_CLOUDHSM) == 10
    assert causes().count("\n") == 1 + len(OF_CLOUDHSM)


@pytest.mark.parametrize(("kind", "operation"), [cell for cell in EXPECTED if cell[1] in CELLS])
def test_the_matrix_says_what_the_wire_does(kind: str, operation: str) -> None:
    """Each cell of the page is what the tests of the wire see."""
    type_ = KeyStoreType.AWS_CLOUDHSM if kind == "cloudhsm" else KeyStoreType.EXTERNAL_KEY_STORE
    said = {state: SAID[right(type_, CELLS[operation], ConnectionState(state))] for state in STATES}
    assert said == EXPECTED[kind, operation]
