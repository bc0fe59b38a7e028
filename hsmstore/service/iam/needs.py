"""Which permissions a request needs, on what.

Source: KMS Developer Guide, "AWS KMS permissions". What has no key is asked of `*`, as GenerateRandom and
DescribeCustomKeyStores are; what is about an alias is asked of the alias and of its key.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from hsmstore.domain.ciphertext import unpack
from hsmstore.domain.errors import InvalidCiphertextException, NotFoundException
from hsmstore.domain.identifiers import alias_arn
from hsmstore.domain.key import Grant, KmsKey
from hsmstore.service.keys.grants import grant_to_retire
from hsmstore.service.keys.resolving import look_up, resolve
from hsmstore.service.world import Call, World

EVERYTHING: Final = "*"


class Need(NamedTuple):
    """One permission: an action, on a key, or on something that has no policy of its own.

    `name` is how the request names the key, `retired` the grant that it ends, `context` the encryption
    context of this side of the request: None where the operation has none.
    """

    action: str
    resource: str = EVERYTHING
    key: KmsKey | None = None
    name: str | None = None
    context: Mapping[str, str] | None = None
    retired: Grant | None = None


def needs_of(operation: str, members: Any, call: Call, world: World) -> Iterator[Need]:
    """Yield what the request needs. Of a key that is not there nothing is needed: the service tells of it."""
    special = _SPECIAL.get(operation)
    if special is not None:
        yield from special(operation, members, call, world)
        return
    name = None if operation in _WITHOUT_KEY else getattr(members, "key_id", None)
    if name is None:
        yield Need(f"kms:{operation}")
    else:
        context = members.encryption_context or {} if hasattr(members, "encryption_context") else None
        yield _on_key(operation, resolve(world, call, name), name, context)


_WITHOUT_KEY: Final = frozenset({"ListAliases", "ListKeys", "ListRetirableGrants"})


def source_of(members: Any, name: str | None, call: Call, world: World) -> tuple[str, KmsKey] | None:
    """Return the key of a ciphertext, and how it is named: by the request, else by the blob."""
    if name is not None:
        return name, resolve(world, call, name)
    try:
        arn = unpack(members.ciphertext_blob or b"").arn
        return arn, resolve(world, call, arn)
    except (InvalidCiphertextException, NotFoundException):
        return None


def _on_key(
    operation: str, key: KmsKey, name: str | None = None, context: Mapping[str, str] | None = None
) -> Need:
    return Need(f"kms:{operation}", key.arn, key, name, context)


def _decrypt(_: str, members: Any, call: Call, world: World) -> Iterator[Need]:
    found = source_of(members, members.key_id, call, world)
    if found is not None:
        yield _on_key("Decrypt", found[1], found[0], members.encryption_context or {})


def _re_encrypt(_: str, members: Any, call: Call, world: World) -> Iterator[Need]:
    found = source_of(members, members.source_key_id, call, world)
    if found is not None:
        yield _on_key("ReEncryptFrom", found[1], found[0], members.source_encryption_context or {})
    name = members.destination_key_id
    context = members.destination_encryption_context or {}
    yield _on_key("ReEncryptTo", resolve(world, call, name), name, context)


def _alias(operation: str, members: Any, call: Call, world: World) -> Iterator[Need]:
    """CreateAlias, UpdateAlias and DeleteAlias: the alias, the key that has it, and the one that is to."""
    yield Need(f"kms:{operation}", alias_arn(call.scope, members.alias_name))
    if operation != "CreateAlias":
        try:
            yield _on_key(operation, look_up(world, call.scope, members.alias_name))
        except NotFoundException:
            return
    if operation != "DeleteAlias":
        yield _on_key(operation, resolve(world, call, members.target_key_id), members.target_key_id)


def _create_grant(operation: str, members: Any, call: Call, world: World) -> Iterator[Need]:
    """CreateGrant: the encryption context is the one that the new grant's constraint asks for."""
    asked = members.constraints
    context = asked and (asked.encryption_context_equals or asked.encryption_context_subset)
    yield _on_key(operation, resolve(world, call, members.key_id), members.key_id, context or {})


def _retire(operation: str, members: Any, call: Call, world: World) -> Iterator[Need]:
    grant = grant_to_retire(members, call, world)
    if grant is not None:
        key = look_up(world, call.scope, grant.key_id)
        yield _on_key(operation, key)._replace(retired=grant)


_SPECIAL: Final = {
    "Decrypt": _decrypt,
    "ReEncrypt": _re_encrypt,
    "CreateAlias": _alias,
    "UpdateAlias": _alias,
    "DeleteAlias": _alias,
    "CreateGrant": _create_grant,
    "RetireGrant": _retire,
}
