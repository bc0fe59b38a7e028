"""Draws are recorded in bulk: each line is to be what a record of its own would be, and where it belongs."""

from contextlib import closing
from datetime import datetime
from itertools import cycle
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hsmstore.domain.identifiers import UUID_FRONT, Scope, new_uuid
from hsmstore.domain.principal import NOBODY, Caller, Principal, PrincipalType
from hsmstore.domain.trail import Seen
from hsmstore.service.random import GenerateRandomRequest
from hsmstore.trail.record import Alike, Draw, record
from hsmstore.trail.writer import ALIKES_MAX
from tests.trail.opening import open_at, open_registry, written_in

SCOPE = Scope("123456789012", "eu-central-1")
ALICE = Caller("AKIAEXAMPLE", Principal(name="alice", type=PrincipalType.USER, account="123456789012"))
BEHIND_FRONT = new_uuid(7)[UUID_FRONT:]
IDS = [new_uuid(number << 80) for number in range(5)]
STORE = "cks-1234567890abcdef0"


@given(
    at=st.integers(0, 4_000_000_000),
    caller=st.sampled_from([NOBODY, ALICE]),
    source=st.ip_addresses().map(str),
    agent=st.binary(max_size=1200),
    store=st.none() | st.from_regex(r"cks-[0-9a-f]{17}", fullmatch=True),
)
def test_a_line_is_the_record(at: int, caller: Caller, source: str, agent: bytes, store: str | None) -> None:
    """Whoever draws, of whatever User-Agent, with a key store or without: to the byte."""
    alike = Alike((at, SCOPE, caller, source, agent, store is not None))
    lines = alike.lines([Draw(alike, one, store or "") for one in IDS], BEHIND_FRONT)
    members = GenerateRandomRequest(number_of_bytes=1, custom_key_store_id=store)
    assert lines.split(b"\n") == [
        *(
            record(
                Seen(
                    at,
                    "GenerateRandom",
                    read_only=True,
                    scope=SCOPE,
                    request_id=one,
                    members=members,
                    source=source,
                    agent=agent,
                    caller=caller,
                ),
                one[:UUID_FRONT] + BEHIND_FRONT,
            )
            for one in IDS
        ),
        b"",
    ]


def test_clients_and_stores_that_take_turns(tmp_path: Path) -> None:
    """Each draw stands in its place, for its client, store and second, however many clients there are."""
    drawn = [
        (1e9 + number // 700, new_uuid(number << 80), agent, store)
        for number, agent, store in zip(
            range(3000),
            cycle(b"agent/%d" % number for number in range(ALIKES_MAX + 1)),
            cycle([STORE, None, "cks-00000000000000000"]),
        )
    ]
    directory = tmp_path / "trail"
    with open_registry(tmp_path) as rows, closing(open_at(directory, rows)) as trail:
        for number, (at, request_id, agent, store) in enumerate(drawn):
            trail.drawn(at, request_id, SCOPE, NOBODY, "127.0.0.1", agent, store)
            if number % 500 == 0:
                seen = Seen(at, "ListKeys", read_only=True, scope=SCOPE, request_id=IDS[0], source="::1")
                trail.begin(seen).end()
    found = written_in(directory)
    draws = [one for one in found if one["eventName"] == "GenerateRandom"]
    assert [
        (
            datetime.fromisoformat(one["eventTime"]).timestamp(),
            one["requestID"],
            one["userAgent"],
            (one.get("additionalEventData") or {}).get("customKeyStoreId"),
        )
        for one in draws
    ] == [(at, request_id, agent.decode(), store) for at, request_id, agent, store in drawn]
    assert len({one["eventID"] for one in found}) == len(found) == 3006
    places = [place for place, one in enumerate(found) if one["eventName"] == "ListKeys"]
    assert places == [1 + each * 501 for each in range(6)]
