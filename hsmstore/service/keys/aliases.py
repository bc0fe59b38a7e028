"""Aliases: CreateAlias, UpdateAlias, DeleteAlias, ListAliases."""

from dataclasses import replace
from typing import Final

from hsmstore.domain.errors import (
    AlreadyExistsException,
    InvalidAliasNameException,
    KMSInvalidStateException,
    LimitExceededException,
    NotFoundException,
    ValidationException,
)
from hsmstore.domain.identifiers import Scope, alias_arn
from hsmstore.domain.key import Alias
from hsmstore.domain.limits import ALIASES_PAGE, ALIASES_PER_KEY
from hsmstore.domain.ports import Unit
from hsmstore.service.keys.resolving import reread, resolve
from hsmstore.service.markers import Listing
from hsmstore.service.shapes import (
    NOTHING,
    AliasName,
    KeyId,
    Marker,
    Nothing,
    PageSize,
    Request,
    Response,
    TargetKeyId,
)
from hsmstore.service.world import Call, World, starting_again

PREFIX: Final = "alias/"
RESERVED: Final = "alias/aws/"


class AliasRequest(Request, frozen=True):
    """`CreateAliasRequest` and `UpdateAliasRequest`."""

    alias_name: AliasName
    target_key_id: TargetKeyId


class DeleteAliasRequest(Request, frozen=True):
    """`DeleteAliasRequest`."""

    alias_name: AliasName


class ListAliasesRequest(Request, frozen=True):
    """`ListAliasesRequest`."""

    key_id: KeyId | None = None
    limit: PageSize | None = None
    marker: Marker | None = None


class AliasListEntry(Response, frozen=True):
    """`AliasListEntry`; dates are in seconds since the epoch."""

    alias_name: str
    alias_arn: str
    target_key_id: str
    creation_date: float
    last_updated_date: float


class ListAliasesResponse(Response, frozen=True, kw_only=True):
    """`ListAliasesResponse`."""

    aliases: list[AliasListEntry]
    next_marker: str | None = None
    truncated: bool


def create_alias(request: AliasRequest, call: Call, world: World) -> Nothing:
    """Give a key a name.

    Raises:
        ValidationException: the name does not begin with `alias/` (the text is recorded).
        InvalidAliasNameException: it begins with `alias/aws/`, or names nothing.
        AlreadyExistsException, NotFoundException, LimitExceededException: as documented.
        KMSInvalidStateException: the key is pending deletion.

    """
    name = request.alias_name
    _check_prefix(name)
    if name.startswith(RESERVED) or name == PREFIX:
        raise InvalidAliasNameException(f"The alias name {name} is not valid.")
    key = resolve(world, call, request.target_key_id)
    key.require_changeable()
    now = world.clock.now()
    with world.registry.writing() as unit:
        reread(unit, key).require_changeable()
        if unit.alias(call.scope, name) is not None:
            raise AlreadyExistsException(
                f"An alias with the name {alias_arn(call.scope, name)} already exists"
            )
        _require_room(unit, key.id)
        unit.add_alias(Alias(scope=call.scope, name=name, key_id=key.id, created_at=now, updated_at=now))
        call.recording.commit(unit)
    return NOTHING


def update_alias(request: AliasRequest, call: Call, world: World) -> Nothing:
    """Let an alias name another key.

    Raises:
        ValidationException: the name does not begin with `alias/`.
        NotFoundException, LimitExceededException: as documented.
        KMSInvalidStateException: the other key is pending deletion.

    """
    _check_prefix(request.alias_name)
    key = resolve(world, call, request.target_key_id)
    key.require_changeable()
    with world.registry.writing() as unit:
        reread(unit, key).require_changeable()
        alias = _find(unit, call.scope, request.alias_name)
        if alias.key_id != key.id:
            _require_room(unit, key.id)
        unit.replace_alias(replace(alias, key_id=key.id, updated_at=world.clock.now()))
        call.recording.commit(unit)
    return NOTHING


@starting_again
def delete_alias(request: DeleteAliasRequest, call: Call, world: World) -> Nothing:
    """Delete an alias; its key stays.

    Raises:
        ValidationException: the name does not begin with `alias/`.
        NotFoundException: as documented.
        KMSInvalidStateException: the alias is AWS's own.

    """
    _check_prefix(request.alias_name)
    if request.alias_name.startswith(RESERVED):
        raise KMSInvalidStateException(f"The alias {request.alias_name} is AWS's own.")
    with world.registry.writing() as unit:
        unit.remove_alias(_find(unit, call.scope, request.alias_name))
        call.recording.commit(unit)
    return NOTHING


def list_aliases(request: ListAliasesRequest, call: Call, world: World) -> ListAliasesResponse:
    """List a page of the aliases of the account and Region, or of one key.

    Raises:
        NotFoundException, InvalidMarkerException: as documented.

    """
    key_id = None if request.key_id is None else resolve(world, call, request.key_id).id
    listing = Listing(world, call.scope, f"aliases/{key_id or ''}")
    after = listing.open_marker(request.marker, str)
    limit = min(request.limit or ALIASES_PAGE[0], ALIASES_PAGE[1])
    with world.registry.reading() as unit:
        found = unit.aliases(call.scope, key_id=key_id, after=after, limit=limit + 1)
    shown = listing.page(found, limit, lambda alias: alias.name)
    return ListAliasesResponse(
        aliases=[_entry(alias) for alias in shown.items],
        truncated=shown.truncated,
        next_marker=shown.marker,
    )


def _check_prefix(name: str) -> None:
    if not name.startswith(PREFIX):
        raise ValidationException(
            'Alias must start with the prefix "alias/". Please see'
            " https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
        )


def _require_room(unit: Unit, key_id: str) -> None:
    if unit.count_aliases(key_id) >= ALIASES_PER_KEY:
        raise LimitExceededException(f"The key already has {ALIASES_PER_KEY} aliases.")


def _find(unit: Unit, scope: Scope, name: str) -> Alias:
    alias = unit.alias(scope, name)
    if alias is None:
        raise NotFoundException(f"Alias {alias_arn(scope, name)} is not found.").elsewhere()
    return alias


def _entry(alias: Alias) -> AliasListEntry:
    return AliasListEntry(
        alias_name=alias.name,
        alias_arn=alias_arn(alias.scope, alias.name),
        target_key_id=alias.key_id,
        creation_date=round(alias.created_at, 3),
        last_updated_date=round(alias.updated_at, 3),
    )
