"""The gate of the replicas, searched exhaustively: what is promised holds, and each rule is needed for it."""

import re
from pathlib import Path
from typing import Final

import pytest

from tests.model_checking.spin import MODEL, search

BRIEF: Final = "L=1"
"""The shortest lease, of one tick: enough where something is to be found."""

ENDS: Final = (BRIEF, "OUTAGES=2", "CRASHES")
"""The model as it is searched for what comes in the end: with crashes, and outages that do come to an end."""

OPTIONS: Final = {"L", "OUTAGES", "CRASHES", "FIRST_PROMISE_ONLY"}
"""Names that can be defined and take away no rule."""

BYTE_GIVEN: Final = "assertion violated  !(late)"

PAGE: Final = MODEL.parents[1] / "replicas.md"


@pytest.mark.parametrize(("lease", "states"), [("L=2", 500_000), (BRIEF, 100_000)])
def test_no_byte_after_disconnected(tmp_path: Path, lease: str, states: int) -> None:
    """Whatever is late, lost, stopped or out of step: no draw gives a byte that it must not give."""
    found = search(tmp_path, lease)
    assert found.complete, found.text
    assert found.errors == 0, found.text
    assert found.states > states  # a model that can do next to nothing promises next to everything


def test_disconnecting_ends(tmp_path: Path) -> None:
    """Through crashes and outages DISCONNECTING comes to an end, if the database comes back."""
    found = search(tmp_path, *ENDS, claim="disconnecting_ends", fair=True)
    assert found.complete, found.text
    assert found.errors == 0, found.text
    assert found.states > 100_000


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("DEADLINE_AFTER", id="the deadline counts from before the asking"),
        pytest.param("NO_MARGIN", id="the others wait longer than the holder"),
        pytest.param("HOLDS_IGNORED", id="nobody holds what is DISCONNECTED"),
        pytest.param("HOLD_IN_TWO_STEPS", id="a hold is one serialisable step"),
        pytest.param("LET_GO_BEFORE_SHUT", id="the gate is shut before the hold goes"),
        pytest.param("JUDGED_BY_THE_CLOCK", id="who is judged lapsed loses the row"),
        pytest.param("GATE_LEFT_OPEN", id="a new lease begins with the gate shut"),
        pytest.param("ANY_LEASE_WILL_DO", id="a connection lasts as long as its lease"),
        pytest.param("GIVE_BACK_BEFORE_SHUT", id="the gate is shut before the lease is given back"),
        pytest.param("SHUT_FOR_A_MOMENT", id="a thread that is late opens nothing"),
        pytest.param("TAKE_OVER_OF_THE_LIVING", id="who is taken over is dead"),
    ],
)
def test_rule_is_needed(tmp_path: Path, rule: str) -> None:
    """Without the rule a draw that began too late gives a byte."""
    found = search(tmp_path, BRIEF, rule, "FIRST_PROMISE_ONLY", error_expected=True)
    assert found.errors == 1, found.text
    assert BYTE_GIVEN in found.text


def test_lease_is_looked_at_after_the_draw(tmp_path: Path) -> None:
    """A look before it is too early: then the HSM may draw for a store that is no longer connected."""
    found = search(tmp_path, BRIEF, "CHECK_BEFORE_DRAW", error_expected=True)
    assert found.errors == 1, found.text
    assert BYTE_GIVEN in found.text


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param("NOTIFIED_OR_NEVER", id="a renewal asks for what no notification has told"),
        pytest.param("TOLD_ONCE", id="a renewal asks for all that is held, not for what is new"),
        pytest.param("LOCKS_OF_THE_DEAD", id="a transaction that stands still is undone"),
    ],
)
def test_rule_is_needed_for_an_end(tmp_path: Path, rule: str) -> None:
    """Without the rule a store can stay DISCONNECTING for ever."""
    found = search(tmp_path, *ENDS, rule, claim="disconnecting_ends", fair=True, error_expected=True)
    assert found.errors == 1, found.text
    assert "acceptance cycle" in found.text


@pytest.mark.parametrize("claim", re.findall(r"ltl (never_\w+)", MODEL.read_text(encoding="utf-8")))
def test_it_does_happen(tmp_path: Path, claim: str) -> None:
    """Bytes are given, and others thrown away; leases lapse over an open gate; notifications are missed."""
    found = search(tmp_path, claim=claim, error_expected=True)
    assert found.errors == 1, found.text
    assert "assertion violated" in found.text


def test_a_search_that_is_cut_short_is_noticed(tmp_path: Path) -> None:
    """A search that was not deep enough finds no error and proves nothing."""
    found = search(tmp_path, depth=100)
    assert found.errors == 0
    assert not found.complete


def test_page_tells_of_every_rule() -> None:
    """Each rule of the model that can be taken away has a row on the page."""
    model, page = MODEL.read_text(encoding="utf-8"), PAGE.read_text(encoding="utf-8")
    rules = set(re.findall(r"^#ifn?def (\w+)", model, re.MULTILINE)) - OPTIONS
    assert rules == set(re.findall(r"^\| `(\w+)`: ", page, re.MULTILINE))
