"""Tags of keys: TagResource, UntagResource, ListResourceTags. The texts of refusals are recorded from AWS."""

from collections.abc import Sequence

from hsmstore.domain.errors import TagException
from hsmstore.domain.key import Tag
from hsmstore.domain.limits import TAGS_PAGE, TAGS_PER_KEY
from hsmstore.service.keys.resolving import reread, resolve
from hsmstore.service.markers import Listing
from hsmstore.service.shapes import (
    NOTHING,
    KeyId,
    Marker,
    Nothing,
    PageSize,
    Request,
    Response,
    TagKey,
    TagMember,
)
from hsmstore.service.world import Call, World


class TagResourceRequest(Request, frozen=True):
    """`TagResourceRequest`."""

    key_id: KeyId
    tags: list[TagMember]


class UntagResourceRequest(Request, frozen=True):
    """`UntagResourceRequest`."""

    key_id: KeyId
    tag_keys: list[TagKey]


class ListResourceTagsRequest(Request, frozen=True):
    """`ListResourceTagsRequest`."""

    key_id: KeyId
    limit: PageSize | None = None
    marker: Marker | None = None


class TagEntry(Response, frozen=True):
    """`Tag`, as it is answered."""

    tag_key: str
    tag_value: str


class ListResourceTagsResponse(Response, frozen=True, kw_only=True):
    """`ListResourceTagsResponse`."""

    tags: list[TagEntry]
    next_marker: str | None = None
    truncated: bool


def checked_tags(tags: Sequence[Tag]) -> list[Tag]:
    """Return the tags, if a key may have them all.

    Raises:
        TagException: two have the same key, one is AWS's own, or there are too many.

    """
    keys = {tag.key for tag in tags}
    if len(keys) < len(tags):
        raise TagException("Duplicate tag keys")
    if len(tags) > TAGS_PER_KEY:
        raise TagException("Too many tags")
    _refuse_reserved(keys)
    return list(tags)


def tag_resource(request: TagResourceRequest, call: Call, world: World) -> Nothing:
    """Add tags to a key, or give those that it has new values.

    Raises:
        NotFoundException, TagException: as documented.
        KMSInvalidStateException: it is pending deletion.

    """
    key = resolve(world, call, request.key_id)
    key.require_changeable()
    tags = checked_tags([Tag(key=tag.tag_key, value=tag.tag_value) for tag in request.tags])
    with world.registry.writing() as unit:
        reread(unit, key).require_changeable()
        unit.put_tags(key.id, tags)
        checked_tags(unit.tags(key.id))
        call.recording.commit(unit)
    return NOTHING


def untag_resource(request: UntagResourceRequest, call: Call, world: World) -> Nothing:
    """Remove tags from a key; one that it does not have is no mistake.

    Raises:
        NotFoundException: as documented.
        TagException: a tag that is AWS's own.
        KMSInvalidStateException: it is pending deletion.

    """
    key = resolve(world, call, request.key_id)
    key.require_changeable()
    _refuse_reserved(set(request.tag_keys))
    with world.registry.writing() as unit:
        reread(unit, key).require_changeable()
        unit.remove_tags(key.id, request.tag_keys)
        call.recording.commit(unit)
    return NOTHING


def list_resource_tags(
    request: ListResourceTagsRequest, call: Call, world: World
) -> ListResourceTagsResponse:
    """List a page of a key's tags.

    Raises:
        NotFoundException, InvalidMarkerException: as documented.

    """
    key = resolve(world, call, request.key_id)
    listing = Listing(world, call.scope, f"tags/{key.id}")
    after = listing.open_marker(request.marker, str)
    limit = min(request.limit or TAGS_PAGE[0], TAGS_PAGE[1])
    with world.registry.reading() as unit:
        found = [tag for tag in unit.tags(key.id) if after is None or tag.key > after]
    shown = listing.page(found, limit, lambda tag: tag.key)
    return ListResourceTagsResponse(
        tags=[TagEntry(tag_key=tag.key, tag_value=tag.value) for tag in shown.items],
        truncated=shown.truncated,
        next_marker=shown.marker,
    )


def _refuse_reserved(keys: set[str]) -> None:
    if any(key.startswith("aws:") for key in keys):
        raise TagException("Tags beginning with aws: are reserved")
