"""The simulation's one clock: set forward, stopped, hurried; and what a test does with it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hsmstore.domain.clock import ClockSetting
from hsmstore.domain.connection import ConnectionState
from hsmstore.domain.identifiers import Scope
from hsmstore.storage.registry import SqlRegistry
from tests.server import Server, running
from tests.wire.failing import Played

pytestmark = pytest.mark.simulator_only

MINUTE = 60.0


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Server]:
    """Serve with AWS's durations."""
    with running(tmp_path / "data", "--profile", "aws") as server:
        yield server


def clock(server: Server) -> dict[str, float]:
    """Show the clock."""
    shown: dict[str, float] = server.manage("GET", "/clock")[1]
    return shown


def advance(server: Server, seconds: float) -> dict[str, float]:
    """Set the clock forward."""
    status, shown = server.manage("POST", "/clock/advance", {"Seconds": seconds})
    assert status == 200, shown
    advanced: dict[str, float] = shown
    return advanced


def set_rate(server: Server, rate: float) -> dict[str, float]:
    """Let the clock run at a rate."""
    status, shown = server.manage("PUT", "/clock/rate", {"Rate": rate})
    assert status == 200, shown
    running_at: dict[str, float] = shown
    return running_at


def explained(played: Played) -> Any:
    """Explain the key store."""
    status, explanation = played.server.manage("GET", f"/key-stores/{played.store}/explanation")
    assert status == 200, explanation
    return explanation


def test_advance(aws: Server) -> None:
    """The clock goes forward by what was said, and runs on."""
    before = clock(aws)
    assert before["Rate"] == 1
    after = advance(aws, 3600)
    assert 3600 <= after["Now"] - before["Now"] < 3630
    assert clock(aws)["Now"] > after["Now"]


def test_freeze_and_run(aws: Server) -> None:
    """A stopped clock stands, can be set forward, and runs again."""
    stopped = set_rate(aws, 0)
    assert clock(aws)["Now"] == stopped["Now"]
    assert advance(aws, 5)["Now"] == stopped["Now"] + 5
    assert clock(aws)["Now"] == stopped["Now"] + 5
    set_rate(aws, 1)
    assert clock(aws)["Now"] > stopped["Now"] + 5


def test_scale(aws: Server) -> None:
    """A hurried clock makes many seconds of one; a connect of twenty minutes passes while one looks."""
    played = Played(aws, "hurried")
    before = set_rate(aws, 100_000)
    assert played.connect()[0] in {"CONNECTING", "CONNECTED"}
    while played.state() != ("CONNECTED", None):
        assert clock(aws)["Real"] - before["Real"] < 20
    after = clock(aws)
    assert after["Now"] - before["Now"] >= 20 * MINUTE


@pytest.mark.parametrize("body", [{"Seconds": -1}, {"Seconds": "x"}, {}, {"Seconds": 1e12}])
def test_bad_advance(server: Server, body: dict[str, Any]) -> None:
    """The clock cannot be set back, nor by nothing, nor out of history."""
    before = clock(server)
    assert server.manage("POST", "/clock/advance", body)[0] == 400
    assert clock(server)["Now"] - before["Now"] < 30


@pytest.mark.parametrize("rate", [-1, 1e9, "fast", None])
def test_bad_rate(server: Server, rate: object) -> None:
    """The clock cannot run backwards."""
    assert server.manage("PUT", "/clock/rate", {"Rate": rate})[0] == 400
    assert clock(server)["Rate"] == 1


def test_twenty_minutes_then_failed(aws: Server) -> None:
    """A connect that takes twenty minutes, then fails, has the same history each time, and takes no time."""
    real = clock(aws)["Real"]
    assert _history_of_a_failure(aws, "first") == _history_of_a_failure(aws, "second") == [
        (0.0, "created", "DISCONNECTED", None),
        (0.0, "connect", "CONNECTING", None),
        (20 * MINUTE, "connect_failed", "FAILED", "NETWORK_ERRORS"),
        (20 * MINUTE, "disconnect", "DISCONNECTING", None),
        (25 * MINUTE, "disconnect_completed", "DISCONNECTED", None),
        (25 * MINUTE, "connect", "CONNECTING", None),
        (45 * MINUTE, "connect_succeeded", "CONNECTED", None),
    ]  # fmt: skip
    assert clock(aws)["Real"] - real < 20


def _history_of_a_failure(server: Server, name: str) -> list[tuple[Any, ...]]:
    set_rate(server, 0)
    played = Played(server, name)
    played.set_network(reachable=False)
    assert played.connect() == ("CONNECTING", None)
    advance(server, 20 * MINUTE - 1)
    assert played.state() == ("CONNECTING", None)
    advance(server, 1)
    assert played.state() == ("FAILED", "NETWORK_ERRORS")
    played.kms.disconnect_custom_key_store(CustomKeyStoreId=played.store)
    assert played.state() == ("DISCONNECTING", None)
    advance(server, 5 * MINUTE)
    assert played.state() == ("DISCONNECTED", None)
    played.set_network(reachable=True)
    played.connect()
    advance(server, 20 * MINUTE)
    assert len(played.draw()) == 16
    return _history(played)


def _history(played: Played) -> list[tuple[Any, ...]]:
    history = explained(played)["History"]
    first = history[0]["At"]
    return [
        (round(e["At"] - first, 3), e["Event"], e["ConnectionState"], e.get("ConnectionErrorCode"))
        for e in history
    ]


def test_explanation_follows_the_state(aws: Server) -> None:
    """The explanation says since when a state lasts and when it will be over."""
    set_rate(aws, 0)
    played = Played(aws, "explained")
    assert (explained(played)["Why"], "Due" in explained(played)) == ("It has never been connected.", False)
    played.connect()
    said = explained(played)
    assert said["Due"] - said["Since"] == 20 * MINUTE
    advance(aws, 20 * MINUTE)
    assert explained(played)["ConnectionState"] == "CONNECTED"


def test_the_clock_survives_a_restart(aws: Server) -> None:
    """What was set forward stays forward; a connect under way goes on by it."""
    played = Played(aws, "restart")
    played.connect()
    before = advance(aws, 20 * MINUTE - 60)
    aws.kill()
    aws.start()
    assert clock(aws)["Now"] >= before["Now"]
    assert played.state() == ("CONNECTING", None)
    advance(aws, 60)
    assert played.state() == ("CONNECTED", None)


def test_frozen_stays_frozen(aws: Server) -> None:
    """A stopped clock stands through a restart."""
    stopped = set_rate(aws, 0)
    aws.stop()
    aws.start()
    shown = clock(aws)
    assert (shown["Now"], shown["Rate"]) == (stopped["Now"], 0)


@pytest.mark.parametrize("set_before", [False, True], ids=["never set", "set"])
def test_the_machines_clock_set_back(aws: Server, set_before: bool) -> None:  # noqa: FBT001  # a parameter
    """Where the registry is days ahead of the machine, the clock runs on from there, and nothing is stuck."""
    played = Played(aws, "set-back")
    if set_before:
        advance(aws, 1)
    aws.stop()
    ahead = _move_into_the_future(aws, played, 10 * 86_400.0)
    aws.start()
    first = clock(aws)
    assert ahead <= first["Now"] < ahead + 60
    assert clock(aws)["Now"] > first["Now"]
    assert played.state() == ("CONNECTING", None)
    advance(aws, 20 * MINUTE)
    assert played.state() == ("CONNECTED", None)
    assert played.draw()


def _move_into_the_future(server: Server, played: Played, seconds: float) -> float:
    """Write rows as they would be, had the machine's clock been ahead; return the time they show."""
    registry = SqlRegistry(server.registry_url)
    with registry.writing() as unit:
        store = unit.key_store(Scope("000000000000", "us-east-1"), played.store)
        assert store is not None
        since = store.created_at + seconds
        moved = replace(
            store, state=ConnectionState.CONNECTING, state_since=since, due_at=since + 20 * MINUTE
        )
        unit.replace_key_store(store, moved)
        setting = unit.clock()
        if setting is not None:
            unit.set_clock(ClockSetting(setting.real + seconds, setting.shown + seconds, setting.rate))
    registry.close()
    return since
