"""The simulator's answers, as far as the command line looks into them."""

from collections.abc import Sequence

import msgspec


class StoreView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """An entry of DescribeCustomKeyStores. The date is in seconds since the epoch."""

    custom_key_store_id: str
    custom_key_store_name: str
    custom_key_store_type: str
    connection_state: str
    creation_date: float
    connection_error_code: str | None = None
    cloud_hsm_cluster_id: str | None = None
    trust_anchor_certificate: str | None = None
    xks_proxy_configuration: dict[str, str] | None = None


class HsmView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """An HSM of a cluster."""

    hsm_id: str
    availability_zone: str
    state: str
    has_kmsuser: bool = False


class SubnetView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A subnet that a cluster was configured with."""

    subnet_id: str
    availability_zone: str
    free_addresses: int
    exists: bool


class TokenView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The PKCS#11 token that is the cluster."""

    profile: str
    label: str
    serial_number: str
    address: str | None = None
    lack: str | None = None


class ClusterView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A cluster of the management API. The timestamp is in seconds since the epoch."""

    cloud_hsm_cluster_id: str
    state: str
    account_id: str
    region: str
    create_timestamp: float
    trust_anchor_certificate: str
    hsms: Sequence[HsmView]
    kmsuser_exists: bool
    kmsuser_logged_in_elsewhere: bool = False
    kmsuser_failed_logins: int = 0
    network_reachable: bool = True
    subnets: Sequence[SubnetView] = ()
    token: TokenView | None = None


class BackupView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A backup of a cluster. The timestamp is in seconds since the epoch."""

    backup_id: str
    cluster_id: str
    region: str
    create_timestamp: float


class ClockView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The clock of the simulation and the real one, in seconds since the epoch."""

    now: float
    real: float
    rate: float


class FaultView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """An entry of the fault plan."""

    fault_id: str
    point: str
    effect: str
    error: str | None = None
    seconds: float = 0
    custom_key_store_id: str | None = None
    cluster_id: str | None = None
    times: int | None = None
    every: int | None = None
    probability: float | None = None
    seed: int
    until: float | None = None
    seen: int
    struck: int


class EventView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One thing that happened to a key store; `at` is in seconds since the epoch."""

    at: float
    event: str
    connection_state: str
    connection_error_code: str | None = None
    detail: str | None = None


class ExplanationView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Why a key store is in its state."""

    custom_key_store_id: str
    custom_key_store_name: str
    connection_state: str
    connection_error_code: str | None = None
    since: float
    due: float | None = None
    why: str
    fix: Sequence[str]
    history: Sequence[EventView]


class CreatedView(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer of CreateCustomKeyStore."""

    custom_key_store_id: str


class DrawnView(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer of GenerateRandom; the bytes are base64 in JSON."""

    plaintext: bytes


class HealthView(msgspec.Struct, frozen=True):
    """The answer of /_hsmstore/health, as far as a client needs it."""

    region: str
