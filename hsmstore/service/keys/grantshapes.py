"""The words of the service model that are about grants."""

from enum import StrEnum
from typing import Annotated, Final

from hsmstore.domain.identifiers import key_arn, root_arn
from hsmstore.domain.key import Grant
from hsmstore.service.shapes import EncryptionContext, Request, Response, text

Principal = Annotated[str, text(1, 256, r"^[\w+=,.@:/-]+$")]
ServicePrincipal = Annotated[str, text(1, 128, r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$")]
GrantName = Annotated[str, text(1, 256, r"^[a-zA-Z0-9:/_-]+$")]


class GrantOperation(StrEnum):
    """`GrantOperation` of the service model."""

    DECRYPT = "Decrypt"
    ENCRYPT = "Encrypt"
    GENERATE_DATA_KEY = "GenerateDataKey"
    GENERATE_DATA_KEY_WITHOUT_PLAINTEXT = "GenerateDataKeyWithoutPlaintext"
    RE_ENCRYPT_FROM = "ReEncryptFrom"
    RE_ENCRYPT_TO = "ReEncryptTo"
    SIGN = "Sign"
    VERIFY = "Verify"
    GET_PUBLIC_KEY = "GetPublicKey"
    CREATE_GRANT = "CreateGrant"
    RETIRE_GRANT = "RetireGrant"
    DESCRIBE_KEY = "DescribeKey"
    GENERATE_DATA_KEY_PAIR = "GenerateDataKeyPair"
    GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT = "GenerateDataKeyPairWithoutPlaintext"
    GENERATE_MAC = "GenerateMac"
    VERIFY_MAC = "VerifyMac"
    DERIVE_SHARED_SECRET = "DeriveSharedSecret"  # noqa: S105  # an operation, no password
    ENCAPSULATE = "Encapsulate"
    DECAPSULATE = "Decapsulate"


NOT_SYMMETRIC: Final = frozenset(
    {
        GrantOperation.SIGN,
        GrantOperation.VERIFY,
        GrantOperation.GET_PUBLIC_KEY,
        GrantOperation.GENERATE_MAC,
        GrantOperation.VERIFY_MAC,
        GrantOperation.DERIVE_SHARED_SECRET,
        GrantOperation.ENCAPSULATE,
        GrantOperation.DECAPSULATE,
    }
)
"""What cannot be granted on a symmetric encryption key (KMS Developer Guide, "Grants in AWS KMS")."""


class GrantConstraints(Request, frozen=True):
    """`GrantConstraints`, as they are given."""

    encryption_context_subset: EncryptionContext | None = None
    encryption_context_equals: EncryptionContext | None = None
    source_arn: (
        Annotated[str, text(20, 512, r"^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$")] | None
    ) = None


class ShownConstraints(Response, frozen=True):
    """`GrantConstraints`, as they are answered."""

    encryption_context_subset: EncryptionContext | None = None
    encryption_context_equals: EncryptionContext | None = None
    source_arn: str | None = None


class GrantListEntry(Response, frozen=True, kw_only=True):
    """`GrantListEntry`; `creation_date` is in seconds since the epoch, `key_id` the key's ARN."""

    key_id: str
    grant_id: str
    name: str
    creation_date: float
    grantee_principal: str | None = None
    retiring_principal: str | None = None
    issuing_account: str
    operations: list[str]
    constraints: ShownConstraints | None = None
    grantee_service_principal: str | None = None
    retiring_service_principal: str | None = None


class ListGrantsResponse(Response, frozen=True, kw_only=True):
    """`ListGrantsResponse`, which is also that of ListRetirableGrants."""

    grants: list[GrantListEntry]
    next_marker: str | None = None
    truncated: bool


def entry(grant: Grant) -> GrantListEntry:
    """Describe a grant."""
    constraints = ShownConstraints(
        encryption_context_subset=grant.context_subset,
        encryption_context_equals=grant.context_equals,
        source_arn=grant.source_arn,
    )
    return GrantListEntry(
        key_id=key_arn(grant.scope, grant.key_id),
        grant_id=grant.id,
        name=grant.name or "",
        creation_date=round(grant.created_at, 3),
        grantee_principal=grant.grantee_principal,
        retiring_principal=grant.retiring_principal,
        issuing_account=root_arn(grant.scope),
        operations=list(grant.operations),
        constraints=None if constraints == ShownConstraints() else constraints,
        grantee_service_principal=grant.grantee_service,
        retiring_service_principal=grant.retiring_service,
    )
