"""Every reason why a connect fails has its row in the documentation, and every cell of the matrix is true."""

import re

import pytest

from docs.generate import causes, lifecycle, right
from hsmstore.domain.causes import CAUSES
from hsmstore.domain.connection import Action, ConnectionState
from hsmstore.domain.keystore import ConnectionErrorCode, KeyStoreType
from tests.house.tidy import ROOT
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


PAGE = (ROOT / "docs" / "connect-failures.md").read_text(encoding="utf-8")
SAMPLES = {
    "{store}": r"cks-\S+",
    "{cluster}": r"cluster-\S+",
    "NEW-CLUSTER": r"cluster-\S+",
    "NEW-PASSWORD": r"\S+",
    "HSM": r"hsm-\S+",
    "SUBNET": r"subnet-\S+",
    "BACKUP": r"backup-\S+",
}


@pytest.mark.parametrize("code", OF_CLOUDHSM)
def test_the_page_brings_about_every_code(code: ConnectionErrorCode) -> None:
    """Its section says what the table says, types its commands, fails with it, and ends connected."""
    section = PAGE.partition(f"## {code}\n\n")[2].partition("\n## ")[0]
    cause = CAUSES[code]
    assert section.startswith(cause.meaning)
    broken, found, mended = section.partition("**Mend.**")
    assert found
    for commands, place in (([cause.command], broken), (cause.mend, mended)):
        for command in commands:
            typed = re.sub(
                "|".join(map(re.escape, SAMPLES)), lambda name: SAMPLES[name[0]], command.partition("  # ")[0]
            )
            assert re.search(rf"hsmstore {typed}", place), command
    assert f"is FAILED: {code};" in broken
    assert re.search(r"\$ hsmstore store connect (\S+)\nhsmstore: \1 CONNECTED\n…\n```", mended)
    assert f'connect() == "{code}"' in mended
    assert mended.rstrip().endswith("assert connect() is None\n```")


def test_the_page_names_every_other_code() -> None:
    """The codes of external key stores are in the page's table."""
    rows = re.findall(r"^\| `(XKS_\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(rows) == sorted(code for code in ConnectionErrorCode if code.startswith("XKS"))


@pytest.mark.parametrize(("kind", "operation"), [cell for cell in EXPECTED if cell[1] in CELLS])
def test_the_matrix_says_what_the_wire_does(kind: str, operation: str) -> None:
    """Each cell of the page is what the tests of the wire see."""
    type_ = KeyStoreType.AWS_CLOUDHSM if kind == "cloudhsm" else KeyStoreType.EXTERNAL_KEY_STORE
    said = {state: SAID[right(type_, CELLS[operation], ConnectionState(state))] for state in STATES}
    assert said == EXPECTED[kind, operation]
