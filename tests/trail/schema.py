"""The schema of a record, strict: no member that is not here, none of another type or form."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")]
Time = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z\Z")]
Account = Annotated[str, Meta(pattern=r"^\d{12}\Z")]
Text = Annotated[str, Meta(min_length=1)]


class Strict(msgspec.Struct, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """An object that has these members and no others."""


class SessionIssuer(Strict, kw_only=True, rename="camel"):
    """The role of a session."""

    type: Text
    principal_id: Text
    arn: Text
    account_id: Account
    user_name: Text


class SessionContext(Strict, kw_only=True, rename="camel"):
    """Where a session comes from."""

    session_issuer: SessionIssuer


class Identity(Strict, kw_only=True, rename="camel"):
    """Who called."""

    type: Annotated[str, Meta(pattern=r"^(AWSAccount|IAMUser|AssumedRole|Root|AWSService)\Z")]
    principal_id: str | None = None
    arn: str | None = None
    account_id: Account | None = None
    access_key_id: str | None = None
    user_name: str | None = None
    session_context: SessionContext | None = None
    invoked_by: str | None = None


class Resource(Strict, kw_only=True, rename="camel"):
    """What a call was about."""

    account_id: Account
    type: str | None = None
    arn: Annotated[str, Meta(pattern=r"^arn:aws:kms:")] = msgspec.field(name="ARN")


class Record(Strict, kw_only=True, rename="camel"):
    """One line of the trail. A member that is None by default may be missing; the others may not."""

    event_version: Annotated[str, Meta(pattern=r"^1\.08\Z")]
    user_identity: Identity
    event_time: Time
    event_source: Annotated[str, Meta(pattern=r"^kms\.amazonaws\.com\Z")]
    event_name: Annotated[str, Meta(pattern=r"^[A-Z][A-Za-z]+\Z")]
    aws_region: Text
    source_ip_address: Text = msgspec.field(name="sourceIPAddress")
    user_agent: str
    error_code: Text | None = None
    error_message: Text | None = None
    request_parameters: dict[str, Any] | None
    response_elements: dict[str, Any] | None
    additional_event_data: dict[str, Any] | None = None
    request_id: Uuid | None = msgspec.field(name="requestID", default=None)
    event_id: Uuid = msgspec.field(name="eventID")
    read_only: bool
    resources: list[Resource] | None = None
    event_type: Annotated[str, Meta(pattern=r"^(AwsApiCall|AwsServiceEvent)\Z")]
    management_event: bool
    recipient_account_id: Account


def records(data: bytes) -> list[Record]:
    """Read the lines of a trail's file; each must be a record."""
    return [msgspec.json.decode(line, type=Record) for line in data.splitlines()]
