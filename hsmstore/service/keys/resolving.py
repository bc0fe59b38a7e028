"""Which key a request means: by id, ARN, alias or alias ARN.

The wire resolves every member that names a key before the operation is served, and again when somebody else
changed the key meanwhile; the service functions ask `resolve`. The texts are recorded from AWS, save those
of InvalidArnException and of aliases.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from hsmstore.domain.errors import (
    AwsError,
    Conflict,
    CustomKeyStoreNotFoundException,
    InvalidArnException,
    NotFoundException,
)
from hsmstore.domain.identifiers import Scope, alias_arn, key_arn
from hsmstore.domain.key import KmsKey
from hsmstore.domain.ports import Unit
from hsmstore.service import lifecycle
from hsmstore.service.shapes import Naming
from hsmstore.service.world import Call, World

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KEY: Final = re.compile(rf"{_UUID}|mrk-[0-9a-f]{{32}}")
_ARN: Final = re.compile(
    r"arn:(?P<partition>[^:]+):kms:(?P<region>[^:]*):(?P<account>[^:]*)"
    rf":(?:key/(?P<key>{_KEY.pattern})|(?P<alias>alias/.+))"
)


def resolve(world: World, call: Call, name: str) -> KmsKey:
    """Return the key that `name` means to the caller, as it stands now.

    Raises:
        NotFoundException: the account has none in the Region.

    """
    known = call.keys.get(name)
    return look_up(world, call.scope, name) if known is None else known


def reread(unit: Unit, key: KmsKey) -> KmsKey:
    """Return the key as it stands in this transaction, its store as it was found.

    Raises:
        Conflict: it has been deleted meanwhile.

    """
    current = unit.key(key.scope, key.id)
    if current is None:
        raise Conflict(f"{key.arn} has been deleted")
    return replace(current, store=key.store)


def named_keys(world: World, call: Call, request: Any, members: Mapping[str, Naming]) -> Mapping[str, KmsKey]:
    """Return the keys that the request names, by that name; `members` are those that may.

    Raises:
        NotFoundException: one of them is not there.
        InvalidArnException: an ARN that is none of a key, where the operation says so.

    """
    found: dict[str, KmsKey] = {}
    for member, naming in members.items():
        name = getattr(request, member)
        if name is not None:
            try:
                found[name] = _named(world, call.scope, name, naming)
            except AwsError as error:
                error.foreign = not found  # a request about a key of ours is ours
                raise
    return found


def look_up(world: World, scope: Scope, name: str) -> KmsKey:
    """Return the key that `name` means in the scope, what is due of its store settled.

    Raises:
        NotFoundException: there is none.

    """
    if name.startswith("arn:"):
        return _by_arn(world, scope, name)
    if name.startswith("alias/"):
        return _by_alias(world, scope, name)
    return _by_id(world, scope, name)


def _named(world: World, scope: Scope, name: str, naming: Naming) -> KmsKey:
    if name.startswith("alias/") and not naming.aliases:
        raise NotFoundException(f"Invalid keyId '{name}'")
    arn = _ARN.fullmatch(name) if name.startswith("arn:") else None
    if name.startswith("arn:") and (arn is None or (arn["alias"] and not naming.aliases)):
        refuse = InvalidArnException if naming.refuses_arns else NotFoundException
        raise refuse(f"Invalid arn {name}")
    return look_up(world, scope, name)


def _by_arn(world: World, scope: Scope, name: str) -> KmsKey:
    arn = _ARN.fullmatch(name)
    if arn is None:
        raise NotFoundException(f"Invalid arn {name}")
    if arn["region"] != scope.region:
        raise NotFoundException(f"Invalid arn {arn['region']}")
    meant = alias_arn(scope, arn["alias"]) if arn["alias"] else key_arn(scope, arn["key"])
    if name != meant:  # of another account or partition
        raise NotFoundException(_missing_alias(name) if arn["alias"] else _missing_key(name))
    return _by_alias(world, scope, arn["alias"]) if arn["alias"] else _by_id(world, scope, arn["key"])


def _by_alias(world: World, scope: Scope, name: str) -> KmsKey:
    with world.registry.reading() as unit:
        key = unit.key_of_alias(scope, name)
    if key is None:
        raise NotFoundException(_missing_alias(alias_arn(scope, name)))
    return _current(world, key)


def _by_id(world: World, scope: Scope, key_id: str) -> KmsKey:
    if _KEY.fullmatch(key_id) is None:
        raise NotFoundException(f"Invalid keyId '{key_id}'")
    with world.registry.reading() as unit:
        key = unit.key(scope, key_id)
    if key is None:
        raise NotFoundException(_missing_key(key_arn(scope, key_id)))
    return _current(world, key)


def _current(world: World, key: KmsKey) -> KmsKey:
    """Settle what is due of the key's store; one that is gone had lost its last key before."""
    try:
        return replace(key, store=lifecycle.settle_store(world, key.store))
    except CustomKeyStoreNotFoundException as error:
        raise Conflict from error


def _missing_key(arn: str) -> str:
    return f"Key '{arn}' does not exist"


def _missing_alias(arn: str) -> str:
    return f"Alias {arn} is not found."
