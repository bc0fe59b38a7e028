"""How a test reads a refusal."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from tests.server import Answer


class Refusal(NamedTuple):
    """A refusal as a client sees it."""

    status: int
    code: str
    message: str


def refusal(call: Callable[..., Any], **members: Any) -> Refusal:
    """Make a call with boto3 that must be refused."""
    with pytest.raises(ClientError) as refused:
        call(**members)
    response = refused.value.response
    error = response["Error"]
    return Refusal(response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"])


def code(call: Callable[..., Any], **members: Any) -> str:
    """Make a call with boto3 that must be refused, with status 400; return the exception's name."""
    refused = refusal(call, **members)
    assert refused.status == 400
    return refused.code


def read(answer: Answer) -> Refusal:
    """Read a refusal that came over the wire; nothing but `__type` and `message` may be in it."""
    body = json.loads(answer.body)
    assert body.keys() <= {"__type", "message"}
    return Refusal(answer.status, body["__type"], body.get("message", ""))
