"""The operation table of the KMS endpoint.

To add an operation, write its module in `service/`, its row here, and its test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, get_type_hints

import msgspec

from hsmstore.service.connect import connect_custom_key_store, disconnect_custom_key_store
from hsmstore.service.crypto.datakeys import generate_data_key, generate_data_key_without_plaintext
from hsmstore.service.crypto.encryption import decrypt, encrypt, re_encrypt
from hsmstore.service.describe import describe_custom_key_stores
from hsmstore.service.keys.describe import describe_key, list_keys
from hsmstore.service.keystores import (
    create_custom_key_store,
    delete_custom_key_store,
    update_custom_key_store,
)
from hsmstore.service.random import generate_random
from hsmstore.service.shapes import Naming, Response
from hsmstore.service.world import Call, World
from hsmstore.wire import validation


class Access(StrEnum):
    """Whether an operation changes anything: CloudTrail's `readOnly`."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row: what the operation takes (its function's annotation says it), who serves it, what it does.

    `key_members` are the members of the request that name a key, by field.
    """

    name: str
    serve: Callable[[Any, Call, World], Response]
    access: Access
    request: type[msgspec.Struct] = field(init=False)
    decode: Callable[[str], Any] = field(init=False)
    key_members: Mapping[str, Naming] = field(init=False)

    def __post_init__(self) -> None:
        """Build the decoder once."""
        object.__setattr__(self, "request", next(iter(get_type_hints(self.serve).values())))
        object.__setattr__(self, "decode", msgspec.json.Decoder(self.request).decode)
        object.__setattr__(self, "key_members", validation.key_members(self.request))

    @property
    def iam_action(self) -> str:
        """The permission that the operation needs."""
        return f"kms:{self.name}"


_R, _W = Access.READ, Access.WRITE

_ROWS: Final = (
    Operation("CreateCustomKeyStore", create_custom_key_store, _W),
    Operation("DescribeCustomKeyStores", describe_custom_key_stores, _R),
    Operation("ConnectCustomKeyStore", connect_custom_key_store, _W),
    Operation("DisconnectCustomKeyStore", disconnect_custom_key_store, _W),
    Operation("UpdateCustomKeyStore", update_custom_key_store, _W),
    Operation("DeleteCustomKeyStore", delete_custom_key_store, _W),
    Operation("GenerateRandom", generate_random, _R),
    Operation("Encrypt", encrypt, _R),
    Operation("Decrypt", decrypt, _R),
    Operation("ReEncrypt", re_encrypt, _R),
    Operation("GenerateDataKey", generate_data_key, _R),
    Operation("GenerateDataKeyWithoutPlaintext", generate_data_key_without_plaintext, _R),
    Operation("DescribeKey", describe_key, _R),
    Operation("ListKeys", list_keys, _R),
)

TARGET_PREFIX: Final = "TrentService."

OPERATIONS: Final = {TARGET_PREFIX + row.name: row for row in _ROWS}
"""By the value of X-Amz-Target."""
