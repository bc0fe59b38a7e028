"""Request quotas: how often an account may call in a Region, and a key store be used.

Source of the rates: KMS Developer Guide, "Request quotas". Each is a token bucket that holds one second's
worth. A call that is refused by a bucket takes nothing of it. AWS does not publish how it counts within a
second.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from threading import Lock
from types import MappingProxyType
from typing import Final

from hsmstore.domain.identifiers import Scope

SYMMETRIC: Final = "CryptographicOperationsSymmetric"
"""The quota that all symmetric cryptography of an account in a Region shares."""
PER_STORE: Final = "CryptographicOperationsPerKeyStore"
"""The quota of one custom key store, whoever calls; it counts besides the account's."""

SHARING: Final = frozenset(
    (
        *("Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
        *("GenerateMac", "GenerateRandom", "ReEncrypt", "VerifyMac"),
    )
)
"""What counts as symmetric cryptography. That GenerateRandom counts for its store, too, is inferred."""

RATES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "CreateCustomKeyStore": 5,
        "ConnectCustomKeyStore": 5,
        "DeleteCustomKeyStore": 5,
        "DescribeCustomKeyStores": 5,
        "DisconnectCustomKeyStore": 5,
        "UpdateCustomKeyStore": 5,
        "CreateKey": 5,
        "EnableKey": 5,
        "DisableKey": 5,
        "ScheduleKeyDeletion": 15,
        "CancelKeyDeletion": 5,
        "DescribeKey": 2000,
        "ListKeys": 500,
        "ListAliases": 500,
        "CreateAlias": 5,
        "UpdateAlias": 5,
        "DeleteAlias": 15,
        "TagResource": 10,
        "UntagResource": 5,
        "PutKeyPolicy": 15,
        "GetKeyPolicy": 1000,
        "CreateGrant": 50,
        SYMMETRIC: 10_000,
        PER_STORE: 1_800,
    }
)
"""Calls in a second, by operation or by what operations share. An operation that is not here has no quota."""

BUCKETS_MAX: Final = 10_000
"""Buckets that are kept: one for each account, Region and quota, and one for each key store."""


class QuotaMode(StrEnum):
    """Whether there are request quotas: none, or AWS's."""

    OFF = "off"
    AWS = "aws"


class Bucket:
    """Tokens that come back at `rate` a second, at most `rate` of them. It begins full."""

    __slots__ = ("_at", "_rate", "_tokens")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate)
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token, and tell whether there was one. Time that goes back brings none."""
        if now > self._at:
            self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
            self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Quotas:
    """The buckets of one server. Safe to share between threads."""

    def __init__(self, rates: Mapping[str, int] = RATES) -> None:
        """Take the calls in a second, by operation or by what operations share."""
        self._rates = rates
        self._buckets: dict[tuple[object, str], Bucket] = {}
        self._lock = Lock()

    def admit(self, operation: str, scope: Scope, now: float) -> bool:
        """Tell whether a call of an account is within its quota at `now`, in seconds, and count it if so."""
        quota = SYMMETRIC if operation in SHARING else operation
        return quota not in self._rates or self._take(scope, quota, now)

    def admit_to_store(self, operation: str, key_store_id: str, now: float) -> bool:
        """Tell whether cryptography of a key store is within its quota, as `admit` does of an account."""
        return operation not in SHARING or self._take(key_store_id, PER_STORE, now)

    def _take(self, whose: object, quota: str, now: float) -> bool:
        with self._lock:
            bucket = self._buckets.get((whose, quota))
            if bucket is None:
                if len(self._buckets) >= BUCKETS_MAX:  # whoever speaks for that many accounts has them anew
                    self._buckets.clear()
                bucket = self._buckets[whose, quota] = Bucket(self._rates[quota], now)
            return bucket.take(now)


def adjusted(changes: Iterable[str]) -> Mapping[str, int]:
    """Return the rates with changes such as `CreateKey=50`; the last of one name counts."""
    pairs = (change.partition("=") for change in changes)
    return {**RATES, **{name: int(rate) for name, _, rate in pairs}}
