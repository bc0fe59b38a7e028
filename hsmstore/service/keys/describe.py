"""DescribeKey and ListKeys."""

from enum import StrEnum
from typing import Annotated

import msgspec

from hsmstore.domain.limits import KEYS_PAGE
from hsmstore.service.keys.metadata import KeyMetadata, metadata
from hsmstore.service.keys.resolving import resolve
from hsmstore.service.markers import Listing
from hsmstore.service.shapes import GrantTokens, KeyIdOrAlias, Marker, PageSize, Request, Response
from hsmstore.service.world import Call, World


class ResourceOwner(StrEnum):
    """`ResourceOwnerType` of the service model."""

    SELF = "SELF"
    OTHER_ACCOUNTS_VIA_RAM = "OTHER_ACCOUNTS_VIA_RAM"


class DescribeKeyRequest(Request, frozen=True):
    """`DescribeKeyRequest`."""

    key_id: KeyIdOrAlias
    grant_tokens: GrantTokens | None = None


class DescribeKeyResponse(Response, frozen=True):
    """`DescribeKeyResponse`."""

    key_metadata: KeyMetadata


class ListKeysRequest(Request, frozen=True):
    """`ListKeysRequest`."""

    limit: PageSize | None = None
    marker: Marker | None = None
    resource_owners: Annotated[list[ResourceOwner], msgspec.Meta(min_length=1, max_length=2)] | None = None


class KeyListEntry(Response, frozen=True):
    """`KeyListEntry`."""

    key_id: str
    key_arn: str


class ListKeysResponse(Response, frozen=True, kw_only=True):
    """`ListKeysResponse`."""

    keys: list[KeyListEntry]
    next_marker: str | None = None
    truncated: bool


def describe_key(request: DescribeKeyRequest, call: Call, world: World) -> DescribeKeyResponse:
    """Describe a key.

    Raises:
        NotFoundException: as documented.

    """
    return DescribeKeyResponse(key_metadata=metadata(resolve(world, call, request.key_id)))


def list_keys(request: ListKeysRequest, call: Call, world: World) -> ListKeysResponse:
    """List a page of the keys of the account and Region. None comes from another account.

    Raises:
        InvalidMarkerException: a Marker that was not made here for this list.

    """
    limit = request.limit or KEYS_PAGE[0]
    listing = Listing(world, call.scope, "keys")
    after = listing.open_marker(request.marker, tuple[float, str])
    owners = request.resource_owners or [ResourceOwner.SELF]
    if ResourceOwner.SELF not in owners:
        return ListKeysResponse(keys=[], truncated=False)
    with world.registry.reading() as unit:
        found = unit.keys(call.scope, after=after, limit=limit + 1)
    shown = listing.page(found, limit, lambda key: (key.created_at, key.id))
    return ListKeysResponse(
        keys=[KeyListEntry(key_id=key.id, key_arn=key.arn) for key in shown.items],
        truncated=shown.truncated,
        next_marker=shown.marker,
    )
