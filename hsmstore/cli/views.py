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


class TokenView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The PKCS#11 token that is the cluster."""

    profile: str
    label: str
    serial_number: str


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
    token: TokenView | None = None


class CreatedView(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer of CreateCustomKeyStore."""

    custom_key_store_id: str


class DrawnView(msgspec.Struct, frozen=True, rename="pascal"):
    """The answer of GenerateRandom; the bytes are base64 in JSON."""

    plaintext: bytes


class HealthView(msgspec.Struct, frozen=True):
    """The answer of /_hsmstore/health, as far as a client needs it."""

    region: str
