"""The published schema: it is one, and it refuses what is no record."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from hsmstore.domain.errors import AccessDeniedException
from hsmstore.domain.identifiers import Scope
from hsmstore.domain.trail import Seen
from hsmstore.trail.record import record
from tests.trail.reading import SCHEMA, Record, records

SEEN = Seen(
    1e9,
    "DescribeKey",
    read_only=True,
    scope=Scope("123456789012", "us-east-1"),
    request_id="00000000-0000-4000-8000-000000000000",
    source="127.0.0.1",
)


def made() -> Record:
    """Return a record of a refusal."""
    line = record(SEEN, "00000000-0000-4000-8000-000000000001", error=AccessDeniedException("No."))
    (one,) = records(line)
    return one


def test_it_is_a_schema() -> None:
    """It is a schema of the draft that it names."""
    Draft202012Validator.check_schema(SCHEMA)


SPOILT: dict[str, Callable[[Record], Any]] = {
    "a member more": lambda one: one.update(plaintext="x"),
    "a member less": lambda one: one.pop("eventID"),
    "no request id": lambda one: one.pop("requestID"),
    "a refusal that answers": lambda one: one.update(responseElements={"keyId": "x"}),
    "a text without a code": lambda one: one.pop("errorCode"),
    "a number for a text": lambda one: one.update(userAgent=1),
    "another form of time": lambda one: one.update(eventTime="2001-09-09 01:46:40"),
    "an identity with a secret": lambda one: one["userIdentity"].update(secretAccessKey="x"),
    "an identity of nobody": lambda one: one.update(userIdentity={"type": "IAMUser"}),
    "a resource with more": lambda one: one.update(resources=[{"accountId": "1", "ARN": "x"}]),
    "a draw that tells how much": lambda one: one.update(eventName="GenerateRandom", requestParameters={}),
    "a store event with resources": lambda one: one.update(eventName="DeleteCustomKeyStore"),
    "unknown additional data": lambda one: one.update(additionalEventData={"password": "x"}),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_what_is_no_record(spoil: Callable[[Record], Any]) -> None:
    """What has a member more or less, or one of another form, is refused."""
    one = made()
    spoil(one)
    with pytest.raises(ValidationError):
        records(json.dumps(one).encode())
