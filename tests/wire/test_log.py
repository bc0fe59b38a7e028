"""The log of a server: which call it speaks of, and what it never says."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.pages.reading import tried_by
from tests.server import PASSWORD, Server, running
from tests.wire.failing import NEW_PASSWORD, Played, wait_for_a_look

pytestmark = pytest.mark.simulator_only


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a server that logs everything, as JSON."""
    data_dir = tmp_path_factory.mktemp("telling") / "data"
    options = ("--profile", "instant", "--log-format", "json", "--log-level", "debug")
    with running(data_dir, *options) as server:
        yield server


def events(server: Server) -> list[dict[str, Any]]:
    """Return what has been logged; the welcome is no part of it."""
    lines = [line for line in server.log.splitlines() if line.startswith('{"timestamp"')]
    return [json.loads(line) for line in lines]


def about(server: Server, request_id: str) -> list[dict[str, Any]]:
    """Return what has been logged while a call was served."""
    return [event for event in events(server) if event.get("request_id") == request_id]


def test_a_call_that_fails(telling: Server) -> None:
    """All that is logged of a call has the id that its client was told; the refusal is said once.

    It has the members of the sample that docs/observability.md shows.
    """
    played = Played(telling, "fails")
    played.works()
    shutil.rmtree(played.home)
    wait_for_a_look()
    asked = {"NumberOfBytes": 8, "CustomKeyStoreId": played.store}
    answer = telling.call("GenerateRandom", asked)
    assert answer.status == 500
    said = about(telling, answer.headers["X-Amzn-Requestid"])
    assert {(event["operation"], event["account"]) for event in said} == {("GenerateRandom", "000000000000")}
    refusals = [event for event in said if event["logger"] == "hsmstore.wire.app"]
    assert [event["level"] for event in refusals] == ["warning"]
    assert "KMSInternalException: " in refusals[0]["event"]
    [sample] = tried_by(__file__)
    assert list(refusals[0]) == list(json.loads(sample.text))


def test_no_secrets(telling: Server) -> None:
    """No password is logged, whatever is done with it, even where everything is."""
    played = Played(telling, "secrets")
    played.set_password()
    played.fails("INVALID_CREDENTIALS")
    played.update(KeyStorePassword=NEW_PASSWORD)
    played.works()
    assert telling.call("UpdateCustomKeyStore", {"KeyStorePassword": "x" * 99}).status == 400
    for secret in (PASSWORD, NEW_PASSWORD, "x" * 99):
        assert secret not in telling.log


@pytest.mark.sqlite
def test_a_mistake_of_ours(tmp_path: Path) -> None:
    """An unexpected error is logged once, with its traceback; the client is told nothing of it."""
    with running(tmp_path / "data", "--profile", "instant", "--log-format", "json") as server:
        store = server.new_store("odd")
        with closing(sqlite3.connect(server.data_dir / "registry.sqlite3")) as registry, registry:
            registry.execute("PRAGMA ignore_check_constraints = ON")
            registry.execute("UPDATE key_stores SET state = 'ODD'")
        answer = server.call("ConnectCustomKeyStore", {"CustomKeyStoreId": store})
        assert (answer.status, json.loads(answer.body)["__type"]) == (500, "KMSInternalException")
        (event,) = about(server, answer.headers["X-Amzn-Requestid"])
    assert (event["level"], event["operation"]) == ("error", "ConnectCustomKeyStore")
    assert event["event"].startswith("unexpected ")
    assert "Traceback" in event["exception"]
    assert "Traceback" not in answer.body.decode()
