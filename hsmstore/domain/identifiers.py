"""Identifiers and the scope that they are unique in.

Shapes: `cluster-[2-7a-zA-Z]{11,16}` and `hsm-[2-7a-zA-Z]{11,16}` (cloudhsmv2 service model); `cks-` and
17 hexadecimal digits as in every sample of the KMS documentation (its model: 1 to 64 characters); a key's
id is a UUID.
"""

import base64
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count, repeat
from typing import Final, NamedTuple


class Scope(NamedTuple):
    """The account and Region that a request speaks for. Names are unique and quotas count within one."""

    account: str
    region: str


def new_key_store_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return an id such as `cks-1234567890abcdef0`."""
    return f"cks-{random_bytes(9).hex()[:17]}"


def new_cluster_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return an id such as `cluster-abcd2345efg`."""
    return f"cluster-{_base32(random_bytes)}"


def new_hsm_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return an id such as `hsm-abcd2345efg`."""
    return f"hsm-{_base32(random_bytes)}"


def new_backup_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return an id such as `backup-abcd2345efg`."""
    return f"backup-{_base32(random_bytes)}"


def new_subnet_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return an id such as `subnet-0123456789abcdef0`."""
    return f"subnet-{random_bytes(9).hex()[:17]}"


def new_fault_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return an id such as `fault-01234567`."""
    return f"fault-{random_bytes(4).hex()}"


def new_key_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return a key's id: a UUID of version 4."""
    return new_uuid(int.from_bytes(random_bytes(16)))


def new_grant_id(random_bytes: Callable[[int], bytes]) -> str:
    """Return a grant's id: 64 hexadecimal digits, as in every sample of the KMS documentation."""
    return random_bytes(32).hex()


def key_arn(scope: Scope, key_id: str) -> str:
    """Return the ARN of a key."""
    return f"{_prefix(scope)}:key/{key_id}"


def alias_arn(scope: Scope, name: str) -> str:
    """Return the ARN of an alias; its name begins with `alias/`."""
    return f"{_prefix(scope)}:{name}"


def root_arn(scope: Scope) -> str:
    """Return the ARN that stands for the whole account in policies."""
    return f"arn:{_partition(scope.region)}:iam::{scope.account}:root"


def _prefix(scope: Scope) -> str:
    return f"arn:{_partition(scope.region)}:kms:{scope.region}:{scope.account}"


def _partition(region: str) -> str:
    """Return the partition of a Region (AWS General Reference, "Amazon Resource Names")."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def new_lease_id(random_bytes: Callable[[int], bytes], place: str = "") -> str:
    """Return an id such as `lease-0123456789abcdef`; where there is a place, it stands before the hyphen."""
    return f"{place or 'lease'}-{random_bytes(8).hex()}"


def new_uuid(bits: int) -> str:
    """Return a UUID of version 4 from 128 random bits."""
    digits = f"{bits:032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


UUID_FRONT: Final = 14
"""Characters of a UUID before its version."""


class Uuids:
    """UUIDs of version 4, as responses and the trail carry, in a fifth of the time of `new_uuid`.

    74 bits are random and stay; the 48 in front take each of their values once, and neighbours look nothing
    alike. They are made in rows. Safe to share between threads: each takes an id in one step of the
    interpreter, and whoever finds a row empty puts a whole new one in its place.
    """

    _STEP: Final = 0x9E3779B1  # odd, so it meets all values; large, so neighbours look nothing alike
    _ROW: Final = 512  # ids

    def __init__(self, public_bits: Callable[[int], int]) -> None:
        """Start anywhere; `public_bits` returns so many random bits."""
        self._behind_front = new_uuid(public_bits(128))[UUID_FRONT:]
        self._first = public_bits(32)
        self._numbers = count(public_bits(16))
        self._fronts = lru_cache(maxsize=2)(self._made_fronts)
        self._row: Iterator[str] = iter(())

    def new(self) -> str:
        """Return another."""
        for one in self._row:
            return one
        self._row = self._made_row(next(self._numbers))
        return self.new()

    def _made_row(self, number: int) -> Iterator[str]:
        """Return the ids of a row; 65,536 rows differ only in the 16 bits in the middle."""
        behind = f"-{number & 0xFFFF:04x}-{self._behind_front}"
        return map(str.__add__, self._fronts(number >> 16), repeat(behind))

    def _made_fronts(self, number: int) -> list[str]:
        numbers = range(number * self._ROW, (number + 1) * self._ROW)
        return [f"{(self._first + each * self._STEP) & 0xFFFF_FFFF:08x}" for each in numbers]


def _base32(random_bytes: Callable[[int], bytes]) -> str:
    """Return 11 characters of RFC 4648's base32 alphabet, which is exactly `[2-7a-z]`."""
    return base64.b32encode(random_bytes(7)).decode("ascii").lower()[:11]
