"""What makes no sense as a fault is refused, in a sentence that says what would."""

from typing import Any

import pytest

from tests.server import Server

pytestmark = pytest.mark.simulator_only

INVALID = "CloudHsmInvalidRequestException"

BAD = {
    "point": ({"Point": "Encript", "Effect": "drop"}, "goes with the points"),
    "no point": ({"Effect": "drop"}, "Point"),
    "effect": ({"Point": "draw", "Effect": "explode"}, "Effect"),
    "code on a call": (
        {"Point": "GenerateRandom", "Effect": "connection-error", "Error": "NETWORK_ERRORS"},
        "points connect.",
    ),
    "exception on a phase": (
        {"Point": "connect", "Effect": "exception", "Error": "KMSInternalException"},
        "points C",
    ),
    "unknown code": ({"Point": "connect", "Effect": "connection-error", "Error": "X"}, "INVALID_CREDENTIALS"),
    "no code": ({"Point": "connect", "Effect": "connection-error"}, "INVALID_CREDENTIALS"),
    "unknown exception": ({"Point": "draw", "Effect": "exception", "Error": "X"}, "ThrottlingException"),
    "not KMS's": (
        {"Point": "draw", "Effect": "exception", "Error": "CloudHsmInternalFailureException"},
        "ThrottlingException",
    ),
    "error of a drop": ({"Point": "draw", "Effect": "drop", "Error": "X"}, "has no Error"),
    "latency of nothing": ({"Point": "draw", "Effect": "latency"}, "needs Seconds"),
    "seconds of a hang": ({"Point": "draw", "Effect": "hang", "Seconds": 1}, "has no Seconds"),
    "times of a held phase": (
        {"Point": "connect", "Effect": "hang", "Times": 1},
        "until the fault is removed",
    ),
    "negative": ({"Point": "draw", "Effect": "latency", "Seconds": -1}, "Seconds"),
    "never": ({"Point": "draw", "Effect": "drop", "Times": 0}, "Times"),
    "impossible": ({"Point": "draw", "Effect": "drop", "Probability": 0}, "Probability"),
    "too probable": ({"Point": "draw", "Effect": "drop", "Probability": 1.5}, "Probability"),
    "huge seed": ({"Point": "draw", "Effect": "drop", "Seed": 10**30}, "Seed"),
    "no cluster's id": ({"Point": "draw", "Effect": "drop", "ClusterId": "mine"}, "ClusterId"),
}


@pytest.mark.parametrize(("fault", "words"), BAD.values(), ids=BAD)
def test_bad_plan(server: Server, fault: dict[str, Any], words: str) -> None:
    """A fault that makes no sense is refused in a sentence that names what is wrong, and not added."""
    status, answer = server.manage("POST", "/faults", fault)
    assert (status, answer["__type"]) == (400, INVALID)
    assert words in answer["Message"]
    assert server.manage("GET", "/faults") == (200, {"Faults": []})


def test_an_unknown_fault_cannot_be_removed(server: Server) -> None:
    """Removing what is not in the plan is 404."""
    assert server.manage("DELETE", "/faults/fault-nothing")[0] == 404
