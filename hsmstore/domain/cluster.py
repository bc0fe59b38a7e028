"""The CloudHSM cluster that stands behind a key store, as far as KMS and its owner can see it."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from hsmstore.domain.identifiers import Scope
from hsmstore.domain.limits import FAILED_LOGINS_MAX


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
    """One HSM of a cluster: a switch on the cluster's availability, not a token of its own.

    `has_kmsuser` tells whether the crypto user has been made on this one: the client tools can miss one.
    """

    id: str
    availability_zone: str
    state: HsmState = HsmState.ACTIVE
    has_kmsuser: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A private subnet that the cluster was configured with; it may have been deleted since."""

    id: str
    availability_zone: str
    free_addresses: int
    exists: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReference:
    """Which PKCS#11 token is the cluster, and how to reach it. `serial` tells it from a namesake.

    `address` is where a networked module finds it, in the module's own words; None leaves that to the
    environment of the server.
    """

    profile: str
    module: str
    label: str
    serial: str
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedToken:
    """A token that `hsm serve` has put behind p11-kit remoting, and what its users need to know.

    The two files hold secrets. `kmsuser_password` is the password that the token was made with, which the
    first connect changes; None where its owner brought it.
    """

    token: TokenReference
    address: str
    directory: Path
    crypto_officer_pin: Path
    kmsuser_password: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster: its HSMs, its trust anchor, its crypto user, its network, its token.

    `crypto_officer_pin` is sealed, and None for a token whose SO PIN its owner kept. `failed_logins` counts
    the wrong passwords since the last right one. `kmsuser_elsewhere` is a session of kmsuser that is not
    KMS's. `version` counts the row's changes.
    """

    id: str
    scope: Scope
    state: ClusterState
    created_at: float
    trust_anchor_certificate: str
    hsms: tuple[HsmUnit, ...]
    subnets: tuple[Subnet, ...] = ()
    token: TokenReference | None
    crypto_officer_pin: bytes | None
    network_reachable: bool = True
    failed_logins: int = 0
    kmsuser_elsewhere: bool = False
    version: int = 1

    @property
    def present_hsms(self) -> tuple[HsmUnit, ...]:
        """The HSMs that there are; of the last one deleted its row stays, for the users that it knew."""
        return tuple(hsm for hsm in self.hsms if hsm.state is not HsmState.DELETED)

    @property
    def active_hsms(self) -> tuple[HsmUnit, ...]:
        """The HSMs that answer."""
        return tuple(hsm for hsm in self.hsms if hsm.state is HsmState.ACTIVE)

    @property
    def active_zones(self) -> frozenset[str]:
        """The Availability Zones in which an HSM answers."""
        return frozenset(hsm.availability_zone for hsm in self.active_hsms)

    @property
    def kmsuser_exists(self) -> bool:
        """Whether every HSM knows kmsuser: KMS may reach any of them."""
        return bool(self.hsms) and all(hsm.has_kmsuser for hsm in self.hsms)

    @property
    def locked_out(self) -> bool:
        """Whether kmsuser has had too many wrong passwords in a row."""
        return self.failed_logins >= FAILED_LOGINS_MAX

    def with_kmsuser(self, *, exists: bool, hsm_id: str | None = None) -> "Cluster":
        """Return the cluster with kmsuser made or deleted on one HSM, or on all."""
        changed = (replace(hsm, has_kmsuser=exists) if hsm_id in {None, hsm.id} else hsm for hsm in self.hsms)
        return replace(self, hsms=tuple(changed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup of a cluster: its token, its users and its certificate. The files are the HSM room's."""

    id: str
    cluster: Cluster
    created_at: float
