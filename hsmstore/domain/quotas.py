"""Request quotas: how often an account may call in a Region, and a key store be used.

Source of the rates: KMS Developer Guide, "Request quotas". Each is a token bucket that holds one second's
worth. A call is let through where every bucket that it counts in has a token, and takes one of each; a call
that is refused takes none. AWS does not publish how it counts within a second.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from hsmstore.domain.identifiers import Scope

SYMMETRIC: Final = "CryptographicOperationsSymmetric"
"""The quota that all symmetric cryptography of an account in a Region shares."""
PER_STORE: Final = "CryptographicOperationsPerKeyStore"
"""The quota of one custom key store, whoever calls; it counts besides the account's."""

_SHARING: Final = (
    *("Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
    *("GenerateMac", "GenerateRandom", "ReEncrypt", "VerifyMac"),
)

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

    def fill(self, now: float) -> bool:
        """Let come back what has by `now`, and tell whether there is a token. Time does not go back."""
        if now > self._at:
            self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
            self._at = now
        return self._tokens >= 1.0

    def take(self) -> None:
        """Take a token, which must be there."""
        self._tokens -= 1.0


class Quotas:
    """The buckets of one server. Not to be shared between threads: the wire asks in the server's loop."""

    def __init__(self, rates: Mapping[str, int]) -> None:
        """Take the calls in a second, by operation or by what operations share."""
        self._quota_of = {name: name for name in rates} | (
            dict.fromkeys(_SHARING, SYMMETRIC) if SYMMETRIC in rates else {}
        )
        self._rates = rates
        self._buckets: dict[tuple[object, str], Bucket] = {}

    def admit(self, operation: str, scope: Scope, now: float, key_store_id: str | None = None) -> bool:
        """Tell whether a call is within its quotas at `now`, in seconds, and count it if so.

        `key_store_id` is the store whose cryptography the call uses, if that is known.
        """
        quota = self._quota_of.get(operation)
        counted = [] if quota is None else [self._bucket(scope, quota, now)]
        if key_store_id is not None and quota == SYMMETRIC and PER_STORE in self._rates:
            counted.append(self._bucket(key_store_id, PER_STORE, now))
        filled = [bucket.fill(now) for bucket in counted]
        if not all(filled):
            return False
        for bucket in counted:
            bucket.take()
        return True

    def _bucket(self, whose: object, quota: str, now: float) -> Bucket:
        bucket = self._buckets.get((whose, quota))
        if bucket is None:
            if len(self._buckets) >= BUCKETS_MAX:  # whoever names that many accounts has them anew
                self._buckets.clear()
            bucket = self._buckets[whose, quota] = Bucket(self._rates[quota], now)
        return bucket
