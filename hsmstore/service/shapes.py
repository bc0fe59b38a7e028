"""The members that requests share, with the service model's constraints.

A constraint stands in the annotation: msgspec enforces it as it decodes, the wire words AWS's message from
it, and a test compares it with botocore's copy of the model.
"""

from typing import Annotated, Any, NamedTuple

import msgspec

from hsmstore.domain.limits import (
    ALIAS_NAME_MAX,
    DESCRIBE_PAGE_MAX,
    DESCRIPTION_MAX,
    GRANT_TOKEN_MAX,
    GRANT_TOKENS_MAX,
    KEY_ID_MAX,
    KEY_STORE_ID_MAX,
    KEY_STORE_NAME_MAX,
    KMSUSER_PASSWORD_MAX,
    KMSUSER_PASSWORD_MIN,
    MARKER_MAX,
    POLICY_MAX,
    TAG_KEY_MAX,
    TAG_VALUE_MAX,
    TRUST_ANCHOR_MAX,
)


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A request, or a structure inside one. JSON null means absent; unknown members are ignored."""


class Response(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A response, or a structure inside one. Members that are None are left out."""


class Empty(Response, frozen=True):
    """The JSON object with no properties."""


EMPTY = Empty()


class Nothing(Response, frozen=True):
    """An empty body: the answer of the operations whose model has no output."""


NOTHING = Nothing()


class Naming(NamedTuple):
    """What may name a key: always its id or its ARN.

    `refuses_arns` tells whether any other ARN is an InvalidArnException, or just not found.
    """

    aliases: bool
    refuses_arns: bool


def text(
    minimum: int,
    maximum: int,
    pattern: str | None = None,
    *,
    sensitive: bool = False,
    or_empty: bool = False,
    naming: Naming | None = None,
) -> msgspec.Meta:
    """Constrain a string or a blob; `pattern` is the model's, and the whole value must match it.

    `or_empty` also lets the empty string through, where the documentation gives it a meaning that the
    model's own minimum forbids. With a `naming` the member names a key, which is found before the operation
    is served.
    """
    # (?a): the digits of the model's patterns are ASCII's.
    whole = None if pattern is None else rf"(?a)\A(?:{pattern}{'|' if or_empty else ''})\Z"
    extra: dict[str, Any] = {
        "pattern": pattern,
        "minimum": minimum,
        "sensitive": sensitive,
        "or_empty": or_empty,
        "naming": naming,
    }
    return msgspec.Meta(
        min_length=None if or_empty else minimum, max_length=maximum, pattern=whole, extra=extra
    )


KeyStoreId = Annotated[str, text(1, KEY_STORE_ID_MAX)]
KeyStoreName = Annotated[str, text(1, KEY_STORE_NAME_MAX)]
ClusterId = Annotated[str, text(19, 24, r"cluster-[2-7a-zA-Z]{11,16}")]
TrustAnchor = Annotated[str, text(1, TRUST_ANCHOR_MAX)]
Password = Annotated[str, text(KMSUSER_PASSWORD_MIN, KMSUSER_PASSWORD_MAX, sensitive=True)]
PageSize = Annotated[int, msgspec.Meta(ge=1, le=DESCRIBE_PAGE_MAX)]
Marker = Annotated[str, text(1, MARKER_MAX, r"[\u0020-\u00FF]*")]

KeyId = Annotated[str, text(1, KEY_ID_MAX, naming=Naming(aliases=False, refuses_arns=True))]
TargetKeyId = Annotated[str, text(1, KEY_ID_MAX, naming=Naming(aliases=False, refuses_arns=False))]
"""What an alias is to name."""
KeyIdOrAlias = Annotated[str, text(1, KEY_ID_MAX, naming=Naming(aliases=True, refuses_arns=False))]
AliasName = Annotated[str, text(1, ALIAS_NAME_MAX, r"^[a-zA-Z0-9:/_-]+$")]
Description = Annotated[str, text(0, DESCRIPTION_MAX)]
Policy = Annotated[str, text(1, POLICY_MAX, r"[\u0009\u000A\u000D\u0020-\u00FF]+")]
TagKey = Annotated[str, text(1, TAG_KEY_MAX)]
TagValue = Annotated[str, text(0, TAG_VALUE_MAX)]
GrantToken = Annotated[str, text(1, GRANT_TOKEN_MAX)]
GrantTokens = Annotated[list[GrantToken], msgspec.Meta(min_length=0, max_length=GRANT_TOKENS_MAX)]
EncryptionContext = dict[str, str]

UriEndpoint = Annotated[str, text(10, 128, r"^https://[a-zA-Z0-9.-]+$")]
UriPath = Annotated[str, text(10, 128, r"^(/[a-zA-Z0-9\/_-]+/kms/xks/v\d{1,2})$|^(/kms/xks/v\d{1,2})$")]
_VPC_SERVICE_NAME = r"^(com|eu)\.amazonaws\.vpce\.([a-z]+-){2,3}\d+\.vpce-svc-[0-9a-z]+$"
VpcServiceName = Annotated[str, text(20, 64, _VPC_SERVICE_NAME)]
VpcServiceNameOrNone = Annotated[str, text(20, 64, _VPC_SERVICE_NAME, or_empty=True)]
"""UpdateCustomKeyStore: "specify a null or empty string" on the way back to a public endpoint."""
AccountId = Annotated[str, text(12, 12, r"[0-9]{12}")]


class XksCredential(Request, frozen=True):
    """`XksProxyAuthenticationCredentialType`: what KMS signs its requests to the proxy with."""

    access_key_id: Annotated[str, text(20, 30, r"^[A-Z2-7]+$", sensitive=True)]
    raw_secret_access_key: Annotated[str, text(43, 64, r"^[a-zA-Z0-9\/+=]+$", sensitive=True)]


class TagMember(Request, frozen=True):
    """`Tag`, as it is given."""

    tag_key: TagKey
    tag_value: TagValue


class KeyRequest(Request, frozen=True):
    """`EnableKeyRequest` and all the others whose only member is the key."""

    key_id: KeyId


class KeyStoreRequest(Request, frozen=True):
    """`ConnectCustomKeyStoreRequest`, `DisconnectCustomKeyStoreRequest` and `DeleteCustomKeyStoreRequest`."""

    custom_key_store_id: KeyStoreId
