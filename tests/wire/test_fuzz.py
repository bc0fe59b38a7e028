"""Hostile bodies by the thousand: every one has a clear answer, and the server stays as it was."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsmstore.domain.errors import AwsError
from hsmstore.wire import validation
from hsmstore.wire.operations import OPERATIONS
from tests.server import Server, running
from tests.wire.fuzzing import fuzzed, new_seed
from tests.wire.model import every_member
from tests.wire.raw import CONTENT_TYPE, resident

CONNECTIONS = 4
SHORT, LONG = 5_000, 100_000
# The first requests fill buffers and caches; after them 100,000 may cost no more than this.
GROWTH_MAX = 32 * 1024 * 1024


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve nobody else."""
    with running(tmp_path_factory.mktemp("fuzz") / "data", "--profile", "instant") as server:
        yield server


def attack(server: Server, seed: int, count: int) -> Counter[tuple[int, str]]:
    """Send fuzzed requests over one connection; count the answers by status and exception."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    answers: Counter[tuple[int, str]] = Counter()
    for number, (operation, body) in enumerate(fuzzed(seed, count)):
        headers = {"Content-Type": CONTENT_TYPE, "X-Amz-Target": f"TrentService.{operation}"}
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        exception = "" if response.status == 200 else answer["__type"]
        assert response.status in {200, 400, 413}, (seed, number, operation, body, answer)
        answers[response.status, exception] += 1
    connection.close()
    return answers


@pytest.mark.endurance
@pytest.mark.inferred(reason="AWS does not say what it does to nonsense; here it is a 4xx.")
def test_fuzzed_bodies(attacked: Server, *, endurance: bool) -> None:
    """No fuzzed body makes a 5xx, a hang, a lost connection, or memory grow."""
    count = (LONG if endurance else SHORT) // CONNECTIONS
    first = new_seed()
    print(f"seed {first}")  # noqa: T201 - what replays a failure
    attack(attacked, first, 1_000)
    before = resident(attacked)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        seeds = range(first + 1, first + 1 + CONNECTIONS)
        answers = sum(threads.map(attack, [attacked] * CONNECTIONS, seeds, [count] * CONNECTIONS), Counter())
    assert resident(attacked) - before < GROWTH_MAX
    assert answers.total() == count * CONNECTIONS
    seen = {exception for _, exception in answers}
    assert seen >= {"", "SerializationException", "ValidationException"}, answers
    assert "unexpected" not in attacked.log


_NAMES = st.sampled_from(sorted({str(member.path[-1]) for member in every_member()} | {"X", "numberOfBytes"}))
_FITTING = ["AWS_CLOUDHSM", "cks-0", "QUJD", "QUJ", "/kms/xks/v1", "https://a.example", "A" * 43, "2" * 20]
_TEXTS = st.text(max_size=70) | st.sampled_from(_FITTING)
_SCALARS = st.none() | st.booleans() | st.integers(-2, 2**64) | st.floats(-2, 2000) | _TEXTS
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)
_DOCUMENTS = st.dictionaries(_NAMES, _VALUES, max_size=8) | _VALUES
_BODIES = _DOCUMENTS.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=60)


@pytest.mark.simulator_only(
    reason="The two ways of decoding, one fast and one that words refusals, are ours."
)
@given(operation=st.sampled_from(sorted(OPERATIONS)), body=_BODIES)
def test_two_ways_of_decoding(operation: str, body: bytes) -> None:
    """What the fast way takes the slow way takes alike, and what that refuses it refuses in AWS's form."""
    row = OPERATIONS[operation]
    slow = _slow(body, row.request)
    try:
        fast = row.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return
    assert slow == fast == row.decode_again(body) == row.decode_again(body)


def _slow(body: bytes, shape: type[msgspec.Struct]) -> Any:
    """Decode the slow way; anything but an AwsError is the test's failure."""
    try:
        return validation.decode(body, shape)
    except AwsError as refusal:
        return refusal
