"""The form of a record: CloudTrail's, as the KMS Developer Guide shows it.

Where it shows nothing the form follows its other samples: a caller that no principal is known of is an
AWSAccount, and a store that GenerateRandom draws from stands in additionalEventData.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Final

import msgspec

from hsmstore.domain.errors import AwsError
from hsmstore.domain.identifiers import UUID_FRONT, Scope, alias_arn
from hsmstore.domain.key import KmsKey
from hsmstore.domain.keystore import CloudHsmBacking, KeyStore
from hsmstore.domain.principal import Caller, PrincipalType
from hsmstore.domain.trail import Seen
from hsmstore.trail.shown import RENAMED, SHOWN, STORE_EVENTS, Shown

AGENT_MAX: Final = 1024  # bytes of a User-Agent that are kept
TEXT_MAX: Final = 4096  # characters of an error's message that are kept
SERVICE: Final = "kms.amazonaws.com"
VERSION: Final = "1.08"
LOST: Final = "RecordsLost"
"""The eventName of the record that tells how many there should have been. CloudTrail has no such thing."""

DRAW: Final = "GenerateRandom"

_CODES: Final = MappingProxyType({"AccessDeniedException": "AccessDenied"})
"""Errors that CloudTrail, as recorded of KMS, calls otherwise than the wire does."""

_USED: Final = MappingProxyType(
    dict.fromkeys(
        ("encryption_algorithm", "source_encryption_algorithm", "destination_encryption_algorithm"),
        "SYMMETRIC_DEFAULT",
    )
)
"""What is shown of a request that does not say it."""

_DATES: Final = frozenset({"creation_date", "deletion_date", "valid_to"})
_NOTHING_SHOWN: Final = Shown()


class Record(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """One line of the trail."""

    event_version: str = msgspec.field(default_factory=lambda: VERSION)
    user_identity: msgspec.Raw
    event_time: str
    event_source: str = msgspec.field(default_factory=lambda: SERVICE)
    event_name: str
    aws_region: str
    source_ip_address: str = msgspec.field(name="sourceIPAddress")
    user_agent: str
    error_code: str | None = None
    error_message: str | None = None
    request_parameters: Any
    response_elements: Any
    additional_event_data: dict[str, Any] | None = None
    request_id: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="requestID")
    event_id: str = msgspec.field(name="eventID")
    read_only: bool
    resources: list[dict[str, str]] | msgspec.UnsetType = msgspec.UNSET
    event_type: str
    management_event: bool
    recipient_account_id: str
    event_category: str = msgspec.field(default_factory=lambda: "Management")


encode: Final = msgspec.json.Encoder().encode


def record(
    seen: Seen,
    event_id: str,
    *,
    store: KeyStore | None = None,
    keys: Mapping[str, KmsKey] | None = None,
    response: object = None,
    error: AwsError | None = None,
    additional: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the JSON of a record, without the line's end."""
    shown = SHOWN.get(seen.name, _NOTHING_SHOWN)
    keys = keys or {}
    service = seen.request_id is None
    return encode(
        Record(
            user_identity=_service() if service else _identity(seen.scope.account, seen.caller),
            event_time=moment(int(seen.at)),
            event_name=seen.name,
            aws_region=seen.scope.region,
            source_ip_address="AWS Internal" if service else seen.source,
            user_agent="AWS Internal" if service else agent(seen.agent),
            error_code=None if error is None else _CODES.get(error.code, error.code),
            error_message=None if error is None or error.message is None else error.message[:TEXT_MAX],
            request_parameters=_members(seen.members, shown.request, seen.name) if shown.request else None,
            response_elements=None
            if response is None or not shown.response
            else _members(response, shown.response, seen.name),
            additional_event_data={**_additional(seen, store, keys, response), **(additional or {})} or None,
            request_id=msgspec.UNSET if service else seen.request_id or "",
            event_id=event_id,
            read_only=seen.read_only,
            resources=_resources(seen, keys, response),
            event_type="AwsServiceEvent" if service else "AwsApiCall",
            management_event=True,
            recipient_account_id=seen.scope.account,
        )
    )


Circumstances = tuple[int, Scope, Caller, str, bytes, bool]
"""Of a draw: its second, since the epoch, by the simulation's clock; for whom and by whom; the client's
address and User-Agent; whether a key store is named."""

_PLACE: Final = "\ue000place\ue000"  # what no header can hold: they are read as Latin-1


class Alike:
    """What draws in the same circumstances have in common: all of their lines but three ids."""

    name: ClassVar[str] = DRAW
    event_id: ClassVar[None] = None  # nothing is committed

    def __init__(self, circumstances: Circumstances) -> None:
        """Take what they have in common; the parts of the lines are made when they are needed."""
        self.circumstances = circumstances

    def lines(self, draws: Iterable["Draw"], behind_front: str) -> bytes:
        """Return records and lines' ends. An event's id is unique by what it has of the request's.

        Each record is what `record` returns of a GenerateRandom that went well.
        """
        before, behind_store, between, behind = self._parts
        ids = [
            f"{draw.key_store_id}{behind_store}{draw.request_id}{between}{draw.request_id[:UUID_FRONT]}{behind_front}"
            for draw in draws
        ]
        return f"{before}{f'{behind}{before}'.join(ids)}{behind}".encode()

    @cached_property
    def _parts(self) -> tuple[str, str, str, str]:
        """What stands before, between and behind the ids: of the key store, of the request, of the event."""
        second, scope, caller, source, sent_agent, has_store = self.circumstances
        whole = Record(
            user_identity=_identity(scope.account, caller),
            event_time=moment(second),
            event_name=DRAW,
            aws_region=scope.region,
            source_ip_address=source,
            user_agent=agent(sent_agent),
            request_parameters=None,
            response_elements=None,
            additional_event_data={"customKeyStoreId": _PLACE} if has_store else None,
            request_id=_PLACE,
            event_id=_PLACE,
            read_only=True,
            resources=[],
            event_type="AwsApiCall",
            management_event=True,
            recipient_account_id=scope.account,
        )
        *before, between, behind = encode(whole).decode().split(_PLACE)
        return before[0], before[1] if has_store else "", between, behind + "\n"


class Draw(msgspec.Struct, frozen=True, gc=False):
    """A GenerateRandom that went well, in as little as its line can be made of. Most records are of such.

    `key_store_id` is that of a key store that there is, so it needs no escaping; empty where none is named.
    """

    alike: Alike
    request_id: str
    key_store_id: str


@lru_cache(maxsize=4)
def moment(second: int) -> str:
    """Return seconds since the epoch as CloudTrail writes them; nearly all records share theirs."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=256)
def agent(sent: bytes) -> str:
    """Return a User-Agent header as text."""
    return sent[:AGENT_MAX].decode("latin-1")


@lru_cache(maxsize=1024)
def _identity(account: str, caller: Caller) -> msgspec.Raw:
    principal = caller.principal
    if principal is None:
        known = {} if caller.access_key_id is None else {"accessKeyId": caller.access_key_id}
        return msgspec.Raw(
            encode({"type": "AWSAccount", "principalId": account, "accountId": account, **known})
        )
    identity: dict[str, Any] = {
        "type": _TYPES[principal.type],
        "principalId": caller.user_id,
        "arn": caller.arn,
        "accountId": principal.account,
        "accessKeyId": caller.access_key_id,
    }
    if principal.type is PrincipalType.USER:
        identity["userName"] = principal.name
    if principal.type is PrincipalType.ROLE:
        issuer = {
            "type": "Role",
            "principalId": principal.id,
            "arn": principal.arn,
            "accountId": principal.account,
            "userName": principal.name,
        }
        identity["sessionContext"] = {"sessionIssuer": issuer}
    return msgspec.Raw(encode(identity))


_TYPES: Final = MappingProxyType(
    {PrincipalType.USER: "IAMUser", PrincipalType.ROLE: "AssumedRole", PrincipalType.ROOT: "Root"}
)


@lru_cache(maxsize=1)
def _service() -> msgspec.Raw:
    return msgspec.Raw(encode({"type": "AWSService", "invokedBy": "AWS Internal"}))


def _members(holder: object, fields: tuple[str, ...], name: str) -> dict[str, Any] | None:
    """Return those of the fields that are there, named and written as in CloudTrail."""
    if holder is None:
        return None
    members: dict[str, Any] = {}
    for field in fields:
        value: Any = getattr(holder, field)
        if value is None:
            value = _USED.get(field)
        if value is not None:
            shown = lower(_wire_name(holder, field))
            if name.endswith("CustomKeyStore"):
                shown = RENAMED.get(shown, shown)
            members[shown] = _date(value) if field in _DATES else _lowered(value)
    return members


def _wire_name(holder: Any, field: str) -> str:
    position = holder.__struct_fields__.index(field)
    return str(holder.__struct_encode_fields__[position])


def lower(name: str) -> str:
    """Return a member's name as CloudTrail does: `KeyId` as `keyId`, `AWSAccountId` as `aWSAccountId`."""
    return name[:1].lower() + name[1:]


def _lowered(value: Any) -> Any:
    """Return a structure's members by CloudTrail's names; a map that a client sent stays as it is."""
    if isinstance(value, msgspec.Struct):
        return {
            lower(_wire_name(value, field)): _date(member) if field in _DATES else _lowered(member)
            for field in value.__struct_fields__
            if (member := getattr(value, field)) is not None
        }
    return [_lowered(item) for item in value] if isinstance(value, list) else value


def _date(seconds: float) -> str:
    """Return a date inside requests and answers as CloudTrail writes it: `Oct 14, 2021, 5:39:50 PM`."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{at:%b} {at.day}, {at.year}, {at.hour % 12 or 12}:{at:%M:%S %p}"


def _additional(
    seen: Seen, store: KeyStore | None, keys: Mapping[str, KmsKey], response: object
) -> dict[str, Any]:
    if seen.name in STORE_EVENTS:
        return {} if store is None else _of_store(store)
    if seen.name == DRAW:
        named = getattr(seen.members, "custom_key_store_id", None)
        return {} if named is None else {"customKeyStoreId": named}
    if seen.name == "CreateKey" and response is not None:
        key_id = getattr(response, "key_metadata").key_id  # noqa: B009  # a response of that operation
        return {"backingKey": encode({"backingKeyId": key_id.replace("-", "")}).decode()}
    key = next(iter(keys.values()), None)
    if key is None:
        return {}
    if seen.name in {"ScheduleKeyDeletion", "DeleteKey"}:
        return {
            "customKeyStoreId": key.store.id,
            "clusterId": key.cluster_id,
            "backingKeys": [{"backingKeyId": key.material_id.hex()}],
        }
    return {"customKeyStoreId": key.store.id} if seen.read_only else {}


def _of_store(store: KeyStore) -> dict[str, Any]:
    backing = store.backing
    of_cluster = {"clusterId": backing.cluster_id} if isinstance(backing, CloudHsmBacking) else {}
    return {"customKeyStoreName": store.name, **of_cluster}


def _resources(
    seen: Seen, keys: Mapping[str, KmsKey], response: object
) -> list[dict[str, str]] | msgspec.UnsetType:
    """Return the keys and the alias that the event is about. Events of key stores have no such member."""
    if "CustomKeyStore" in seen.name:
        return msgspec.UNSET
    account = seen.scope.account
    found = [{"accountId": account, "type": "AWS::KMS::Key", "ARN": key.arn} for key in keys.values()]
    if seen.name == "CreateKey" and response is not None:
        arn = getattr(response, "key_metadata").arn  # noqa: B009  # as above
        found.append({"accountId": account, "type": "AWS::KMS::Key", "ARN": arn})
    alias = getattr(seen.members, "alias_name", None)
    if alias is not None:
        found.append({"accountId": account, "ARN": alias_arn(seen.scope, alias)})
    return found
