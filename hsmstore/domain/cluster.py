"""The CloudHSM cluster that stands behind a key store, as far as KMS and its owner can see it."""

from dataclasses import dataclass
from enum import StrEnum

from hsmstore.domain.identifiers import Scope


class ClusterState(StrEnum):
    """`ClusterState` of the cloudhsmv2 service model."""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    UNINITIALIZED = "UNINITIALIZED"
    INITIALIZE_IN_PROGRESS = "INITIALIZE_IN_PROGRESS"
    INITIALIZED = "INITIALIZED"
    ACTIVE = "ACTIVE"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    MODIFY_IN_PROGRESS = "MODIFY_IN_PROGRESS"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETED = "DELETED"
    DEGRADED = "DEGRADED"


class HsmState(StrEnum):
    """`HsmState` of the cloudhsmv2 service model."""

    CREATE_IN_PROGRESS = "CREATE_IN_PROGRESS"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True, kw_only=True)
class HsmUnit:
    """One HSM of a cluster: a switch on the cluster's availability, not a token of its own."""

    id: str
    availability_zone: str
    state: HsmState = HsmState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReference:
    """Which PKCS#11 token is the cluster, and how to reach it. `serial` tells it from a namesake."""

    profile: str
    module: str
    label: str
    serial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster: its HSMs, its trust anchor, its crypto user, its token.

    `crypto_officer_pin` is sealed, and None for a token whose SO PIN its owner kept.
    `kmsuser_exists` is the cluster's own list of users; a token of SoftHSM2 cannot forget a user PIN.
    `version` counts the row's changes.
    """

    id: str
    scope: Scope
    state: ClusterState
    created_at: float
    trust_anchor_certificate: str
    hsms: tuple[HsmUnit, ...]
    token: TokenReference | None
    crypto_officer_pin: bytes | None
    kmsuser_exists: bool
    version: int = 1

    @property
    def active_hsms(self) -> tuple[HsmUnit, ...]:
        """The HSMs that answer."""
        return tuple(hsm for hsm in self.hsms if hsm.state is HsmState.ACTIVE)

    @property
    def active_zones(self) -> frozenset[str]:
        """The Availability Zones in which an HSM answers."""
        return frozenset(hsm.availability_zone for hsm in self.active_hsms)
