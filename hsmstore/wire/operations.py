"""The operation table of the KMS endpoint.

To add an operation, write its module in `service/`, its row here, and its test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, get_type_hints

import msgspec

from hsmstore.domain.identifiers import Scope
from hsmstore.service.connect import connect_custom_key_store, disconnect_custom_key_store
from hsmstore.service.crypto.datakeys import generate_data_key, generate_data_key_without_plaintext
from hsmstore.service.crypto.encryption import decrypt, encrypt, re_encrypt
from hsmstore.service.describe import describe_custom_key_stores
from hsmstore.service.keys import aliases, changes, grants, policies, refused, tags
from hsmstore.service.keys.create import create_key
from hsmstore.service.keys.describe import describe_key, list_keys
from hsmstore.service.keystores import (
    create_custom_key_store,
    delete_custom_key_store,
    update_custom_key_store,
)
from hsmstore.service.random import generate_random, generate_random_promptly
from hsmstore.service.shapes import Naming, Response
from hsmstore.service.world import Call, World
from hsmstore.wire import validation


class Access(StrEnum):
    """Whether an operation changes anything: CloudTrail's `readOnly`."""

    READ = "read"
    WRITE = "write"


KEPT: Final = 4096
"""Requests that are kept of an operation that is served promptly: programs ask the same again and again."""
KEPT_SIZE: Final = 256
"""Bytes of a body whose request may be kept: the store's id and a length, and no attestation document."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One row: what the operation takes (its function's annotation says it), who serves it, what it does.

    `promptly` serves what waits for nothing, in the server's loop, and returns None for the rest.
    `decode_again` is `decode` for a body of at most KEPT_SIZE, which may have come before.
    `key_members` are the members of the request that name a key, by field.
    """

    name: str
    serve: Callable[[Any, Call, World], Response]
    access: Access
    promptly: Callable[[Any, Scope, World], Response | None] | None = None
    request: type[msgspec.Struct] = field(init=False)
    decode: Callable[[bytes], Any] = field(init=False)
    decode_again: Callable[[bytes], Any] = field(init=False)
    key_members: Mapping[str, Naming] = field(init=False)
    read_only: bool = field(init=False)

    def __post_init__(self) -> None:
        """Build the decoder once."""
        object.__setattr__(self, "request", next(iter(get_type_hints(self.serve).values())))
        decode = _decoder(self.request)
        object.__setattr__(self, "decode", decode)
        object.__setattr__(
            self, "decode_again", decode if self.promptly is None else lru_cache(maxsize=KEPT)(decode)
        )
        object.__setattr__(self, "read_only", self.access is Access.READ)
        object.__setattr__(self, "key_members", validation.key_members(self.request))


def _decoder(request: type[msgspec.Struct]) -> Callable[[bytes], Any]:
    """Return what makes a request of a body."""
    of_text = msgspec.json.Decoder(request).decode

    def decode(body: bytes) -> Any:
        # As text: msgspec would not look for bad UTF-8 in the members that it passes over.
        return of_text(body.decode())

    return decode


_R, _W = Access.READ, Access.WRITE

_ROWS: Final = (
    Operation("CreateCustomKeyStore", create_custom_key_store, _W),
    Operation("DescribeCustomKeyStores", describe_custom_key_stores, _R),
    Operation("ConnectCustomKeyStore", connect_custom_key_store, _W),
    Operation("DisconnectCustomKeyStore", disconnect_custom_key_store, _W),
    Operation("UpdateCustomKeyStore", update_custom_key_store, _W),
    Operation("DeleteCustomKeyStore", delete_custom_key_store, _W),
    Operation("GenerateRandom", generate_random, _R, generate_random_promptly),
    Operation("Encrypt", encrypt, _R),
    Operation("Decrypt", decrypt, _R),
    Operation("ReEncrypt", re_encrypt, _R),
    Operation("GenerateDataKey", generate_data_key, _R),
    Operation("GenerateDataKeyWithoutPlaintext", generate_data_key_without_plaintext, _R),
    Operation("CreateKey", create_key, _W),
    Operation("DescribeKey", describe_key, _R),
    Operation("ListKeys", list_keys, _R),
    Operation("UpdateKeyDescription", changes.update_key_description, _W),
    Operation("EnableKey", changes.enable_key, _W),
    Operation("DisableKey", changes.disable_key, _W),
    Operation("ScheduleKeyDeletion", changes.schedule_key_deletion, _W),
    Operation("CancelKeyDeletion", changes.cancel_key_deletion, _W),
    Operation("CreateAlias", aliases.create_alias, _W),
    Operation("UpdateAlias", aliases.update_alias, _W),
    Operation("DeleteAlias", aliases.delete_alias, _W),
    Operation("ListAliases", aliases.list_aliases, _R),
    Operation("TagResource", tags.tag_resource, _W),
    Operation("UntagResource", tags.untag_resource, _W),
    Operation("ListResourceTags", tags.list_resource_tags, _R),
    Operation("GetKeyPolicy", policies.get_key_policy, _R),
    Operation("PutKeyPolicy", policies.put_key_policy, _W),
    Operation("ListKeyPolicies", policies.list_key_policies, _R),
    Operation("CreateGrant", grants.create_grant, _W),
    Operation("ListGrants", grants.list_grants, _R),
    Operation("ListRetirableGrants", grants.list_retirable_grants, _R),
    Operation("RetireGrant", grants.retire_grant, _W),
    Operation("RevokeGrant", grants.revoke_grant, _W),
    Operation("GetKeyRotationStatus", refused.get_key_rotation_status, _R),
    Operation("EnableKeyRotation", refused.enable_key_rotation, _W),
    Operation("DisableKeyRotation", refused.disable_key_rotation, _W),
    Operation("RotateKeyOnDemand", refused.rotate_key_on_demand, _W),
    Operation("ListKeyRotations", refused.list_key_rotations, _R),
    Operation("GetParametersForImport", refused.get_parameters_for_import, _R),
    Operation("ImportKeyMaterial", refused.import_key_material, _W),
    Operation("DeleteImportedKeyMaterial", refused.delete_imported_key_material, _W),
    Operation("GenerateDataKeyPair", refused.generate_data_key_pair, _R),
    Operation("GenerateDataKeyPairWithoutPlaintext", refused.generate_data_key_pair_without_plaintext, _R),
    Operation("UpdatePrimaryRegion", refused.update_primary_region, _W),
    Operation("ReplicateKey", refused.replicate_key, _W),
    Operation("Sign", refused.sign, _R),
    Operation("Verify", refused.verify, _R),
    Operation("GetPublicKey", refused.get_public_key, _R),
    Operation("GenerateMac", refused.generate_mac, _R),
    Operation("VerifyMac", refused.verify_mac, _R),
    Operation("DeriveSharedSecret", refused.derive_shared_secret, _R),
)

TARGET_PREFIX: Final = "TrentService."

OPERATIONS: Final = {TARGET_PREFIX + row.name: row for row in _ROWS}
"""By the value of X-Amz-Target."""
