"""Injected faults: which call or phase fails, how, how often, until when.

A fault meets *occasions*: calls of an operation, phases of a store, draws from an HSM. Whether the k-th
occasion is struck depends on the fault alone, its seed included, so a run can be replayed.
"""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from hsmstore.domain.keystore import ConnectionErrorCode


class Phase(StrEnum):
    """What can be struck besides the operations of the API, which go by their own names."""

    CONNECT = "connect"
    DISCONNECT = "disconnect"
    DRAW = "draw"
    ENCRYPT = "encrypt"
    DECRYPT = "decrypt"


HSM_CALLS: Final = frozenset({Phase.DRAW, Phase.ENCRYPT, Phase.DECRYPT})
"""The phases that are one call to an HSM; the others take the simulation's time."""


_OF_KEYS: Final = frozenset(
    {
        "CancelKeyDeletion",
        "CreateAlias",
        "CreateGrant",
        "CreateKey",
        "DeleteAlias",
        "DeleteImportedKeyMaterial",
        "DeriveSharedSecret",
        "DescribeKey",
        "DisableKey",
        "DisableKeyRotation",
        "EnableKey",
        "EnableKeyRotation",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateMac",
        "GetKeyPolicy",
        "GetKeyRotationStatus",
        "GetParametersForImport",
        "GetPublicKey",
        "ImportKeyMaterial",
        "ListAliases",
        "ListGrants",
        "ListKeyPolicies",
        "ListKeyRotations",
        "ListKeys",
        "ListResourceTags",
        "ListRetirableGrants",
        "PutKeyPolicy",
        "ReplicateKey",
        "RetireGrant",
        "RevokeGrant",
        "RotateKeyOnDemand",
        "ScheduleKeyDeletion",
        "Sign",
        "TagResource",
        "UntagResource",
        "UpdateAlias",
        "UpdateKeyDescription",
        "UpdatePrimaryRegion",
        "Verify",
        "VerifyMac",
    }
)

OPERATIONS: Final = (
    frozenset(
        {
            "CreateCustomKeyStore",
            "DescribeCustomKeyStores",
            "ConnectCustomKeyStore",
            "DisconnectCustomKeyStore",
            "UpdateCustomKeyStore",
            "DeleteCustomKeyStore",
            "GenerateRandom",
            "Encrypt",
            "Decrypt",
            "ReEncrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
        }
    )
    | _OF_KEYS
)
"""The operations that can be struck: those of the wire."""


class Effect(StrEnum):
    """What a fault does to an occasion."""

    CONNECTION_ERROR = "connection-error"
    """A connect ends in FAILED with `error`, a ConnectionErrorCode."""
    EXCEPTION = "exception"
    """A call or draw answers `error`, the code of an AWS exception."""
    LATENCY = "latency"
    """A call or draw takes `seconds` more of real time, a phase `seconds` more of the clock's."""
    TIMEOUT = "timeout"
    """A call or draw answers DependencyTimeoutException after `seconds` of real time."""
    DROP = "drop"
    """A call's connection is closed before its answer is whole: of that, no more than an empty 500."""
    HANG = "hang"
    """A phase does not end, and a call is not answered, while the fault is in the plan."""

    @property
    def is_final(self) -> bool:
        """Whether an occasion that was struck has met its last fault."""
        return self is not Effect.LATENCY


class Occasion(NamedTuple):
    """One chance for a fault to strike: a phase or an operation's name, and what it is about."""

    point: str
    key_store_id: str | None = None
    cluster_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One entry of the fault plan.

    It is about every occasion of `point`, or those of one key store or cluster. Of these it strikes, as
    long as the clock is before `until` (seconds since the epoch), the next `times`, or every `every`-th, or
    each with `probability`; without any of the three, all. `seen` and `struck` count occasions.
    """

    id: str
    point: str
    effect: Effect
    error: str | None = None
    seconds: float = 0
    key_store_id: str | None = None
    cluster_id: str | None = None
    times: int | None = None
    every: int | None = None
    probability: float | None = None
    seed: int = 0
    until: float | None = None
    seen: int = 0
    struck: int = 0

    def concerns(self, occasion: Occasion, now: float) -> bool:
        """Tell whether the fault may strike here: it is about this occasion, and not over."""
        return (
            self.point == occasion.point
            and self.key_store_id in {None, occasion.key_store_id}
            and self.cluster_id in {None, occasion.cluster_id}
            and not self.is_over(now)
        )

    def is_over(self, now: float) -> bool:
        """Tell whether it will never strike again."""
        spent = self.times is not None and self.struck >= self.times
        return spent or (self.until is not None and now >= self.until)

    def meet(self) -> tuple["Fault", bool]:
        """Count an occasion that the fault concerns; tell whether it is struck."""
        seen = self.seen + 1
        strikes = self._strikes(seen)
        return replace(self, seen=seen, struck=self.struck + strikes), strikes

    def _strikes(self, occasion: int) -> bool:
        if self.every is not None and occasion % self.every:
            return False
        return self.probability is None or _chance(self.seed, occasion) < self.probability

    @property
    def connection_error(self) -> ConnectionErrorCode:
        """The code that a struck connect fails with."""
        return ConnectionErrorCode(self.error or ConnectionErrorCode.INTERNAL_ERROR)


def _chance(seed: int, occasion: int) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments."""
    digest = hashlib.blake2b(f"{seed}/{occasion}".encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56
