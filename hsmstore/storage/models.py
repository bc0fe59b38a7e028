"""The tables.

They are SQLAlchemy Core's, not its ORM's: the entities of `domain/` are frozen and know no session, so an
ORM would map rows to objects that are then copied; and a start without `sqlalchemy.orm` is 40 ms shorter.

The CHECK constraints are the entities' invariants, held where no bug of ours can pass them. Alembic does
not compare CHECKs, so `tests/storage/test_migrations.py` compares the migrated schema with this file's.
"""

from enum import StrEnum
from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from hsmstore.domain.cluster import ClusterState, HsmState
from hsmstore.domain.connection import ConnectionState
from hsmstore.storage.texts import String, Text

metadata: Final = MetaData(
    naming_convention={  # a constraint without a name could not be dropped by a later migration
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

_CLOUDHSM: Final = ("cluster_id", "trust_anchor_certificate", "password")
_XKS: Final = (
    "xks_connectivity",
    "xks_uri_endpoint",
    "xks_uri_path",
    "xks_access_key_id",
    "xks_secret_access_key",
)
_TOKEN: Final = ("token_profile", "token_module", "token_label", "token_serial")


def _one_of(column: str, values: type[StrEnum]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


def _all(columns: tuple[str, ...], condition: str) -> str:
    return " AND ".join(f"{column} {condition}" for column in columns)


key_stores: Final = Table(
    "key_stores",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("name", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("state", String, nullable=False),
    Column("state_since", Double, nullable=False),
    Column("due_at", Double),
    Column("error_code", String),
    Column("version", Integer, nullable=False),
    Column("cluster_id", String, comment="no foreign key: a store outlives its cluster"),
    Column("trust_anchor_certificate", Text),
    Column("password", LargeBinary, comment="sealed"),
    Column("pending_password", LargeBinary, comment="sealed"),
    Column("xks_connectivity", String),
    Column("xks_uri_endpoint", String),
    Column("xks_uri_path", String),
    Column("xks_access_key_id", String),
    Column("xks_secret_access_key", LargeBinary, comment="sealed"),
    Column("xks_vpc_endpoint_service_name", String),
    Column("xks_vpc_endpoint_service_owner", String),
    UniqueConstraint("account", "region", "name"),
    UniqueConstraint("cluster_id"),
    CheckConstraint(_one_of("state", ConnectionState), "state"),
    CheckConstraint("(state = 'FAILED') = (error_code IS NOT NULL)", "error_code_in_failed"),
    CheckConstraint("(state IN ('CONNECTING', 'DISCONNECTING')) = (due_at IS NOT NULL)", "due_at_in_phase"),
    CheckConstraint(
        f"({_all(_CLOUDHSM, 'IS NOT NULL')}"
        f" AND {_all((*_XKS, 'xks_vpc_endpoint_service_name', 'xks_vpc_endpoint_service_owner'), 'IS NULL')})"
        f" OR ({_all(_XKS, 'IS NOT NULL')} AND {_all((*_CLOUDHSM, 'pending_password'), 'IS NULL')})",
        "one_backing",
    ),
    Index(None, "due_at"),
    Index("ix_key_stores_proxy_uri", "xks_uri_endpoint", "account", "region", "xks_uri_path"),
    Index("ix_key_stores_proxy_connectivity", "xks_connectivity", "xks_uri_endpoint", "account", "region"),
    Index("ix_key_stores_proxy_service", "xks_vpc_endpoint_service_name", "account", "region"),
)
"""One row a store. Which columns are NULL tells its backing; times are seconds since the epoch."""

clusters: Final = Table(
    "clusters",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("state", String, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("trust_anchor_certificate", Text, nullable=False),
    Column("token_profile", String),
    Column("token_module", String),
    Column("token_label", String),
    Column("token_serial", String),
    Column("token_address", String),
    Column("crypto_officer_pin", LargeBinary, comment="sealed"),
    Column("network_reachable", Boolean, nullable=False),
    Column("failed_logins", Integer, nullable=False),
    Column("kmsuser_elsewhere", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    CheckConstraint(_one_of("state", ClusterState), "state"),
    CheckConstraint(f"({_all(_TOKEN, 'IS NULL')}) OR ({_all(_TOKEN, 'IS NOT NULL')})", "whole_token"),
)
"""One row a cluster; the token's columns are all set or all NULL, but for its address."""

hsms: Final = Table(
    "hsms",
    metadata,
    Column("id", String, primary_key=True),
    Column("cluster_id", ForeignKey("clusters.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False, comment="its place among the cluster's HSMs, from 0"),
    Column("availability_zone", String, nullable=False),
    Column("state", String, nullable=False),
    Column("has_kmsuser", Boolean, nullable=False),
    UniqueConstraint("cluster_id", "position"),
    CheckConstraint(_one_of("state", HsmState), "state"),
)
"""One row an HSM. They change only with their cluster's row, whose version counts for them too."""

subnets: Final = Table(
    "subnets",
    metadata,
    Column("id", String, primary_key=True),
    Column("cluster_id", ForeignKey("clusters.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False, comment="its place among the cluster's subnets, from 0"),
    Column("availability_zone", String, nullable=False),
    Column("free_addresses", Integer, nullable=False),
    Column("exists", Boolean, nullable=False),
    UniqueConstraint("cluster_id", "position"),
)
"""One row a subnet. Like the HSMs, they change only with their cluster's row."""

backups: Final = Table(
    "backups",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("cluster", LargeBinary, nullable=False, comment="the cluster as it was, JSON"),
)
"""One row a backup. Nothing is asked of its cluster but the whole."""

key_store_events: Final = Table(
    "key_store_events",
    metadata,
    Column("number", Integer, primary_key=True, comment="in the order of happening"),
    Column("key_store_id", ForeignKey("key_stores.id", ondelete="CASCADE"), nullable=False),
    Column("at", Double, nullable=False),
    Column("event", String, nullable=False),
    Column("state", String, nullable=False),
    Column("error_code", String),
    Column("detail", Text, nullable=False),
    Index(None, "key_store_id"),
)
"""One row for each thing that happened to a store; they go with it."""

faults: Final = Table(
    "faults",
    metadata,
    Column("id", String, primary_key=True),
    Column("number", Integer, nullable=False, comment="its place in the plan, from 0"),
    Column("fault", LargeBinary, nullable=False, comment="JSON"),
    UniqueConstraint("number"),
)
"""The fault plan, one row a fault, in the order in which they are tried."""

clock: Final = Table(
    "clock",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("real", Double, nullable=False),
    Column("shown", Double, nullable=False),
    Column("rate", Double, nullable=False),
    CheckConstraint("id = 1", "only_one"),
)
"""The one clock, once somebody has set it."""

kms_keys: Final = Table(
    "kms_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("key_store_id", ForeignKey("key_stores.id"), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("description", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("deletion_at", Double, comment="set while the key is pending deletion"),
    Column("version", Integer, nullable=False),
    Index(None, "account", "region", "created_at", "id"),
    Index(None, "key_store_id"),
    Index(None, "deletion_at"),
)
"""One row a key. A store cannot be deleted while it has one."""

key_aliases: Final = Table(
    "key_aliases",
    metadata,
    Column("account", String, primary_key=True),
    Column("region", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("key_id", ForeignKey("kms_keys.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Index(None, "key_id"),
)
"""One row an alias; they go with their key."""

key_tags: Final = Table(
    "key_tags",
    metadata,
    Column("key_id", ForeignKey("kms_keys.id", ondelete="CASCADE"), primary_key=True),
    Column("tag_key", String, primary_key=True),
    Column("tag_value", String, nullable=False),
)
"""One row a tag of a key."""

key_grants: Final = Table(
    "key_grants",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("key_id", ForeignKey("kms_keys.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("grantee", String, nullable=False, comment="principal or service"),
    Column("retiring", String, comment="principal or service"),
    Column("grant", LargeBinary, nullable=False, comment="the whole, JSON"),
    Index(None, "key_id", "created_at", "id"),
    Index(None, "account", "region", "retiring"),
)
"""One row a grant; what is asked for stands in columns of its own."""

key_remains: Final = Table(
    "key_remains",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("region", String, nullable=False),
    Column("key_store_id", String, nullable=False),
    Column("cluster_id", String, nullable=False),
    Column("at", Double, nullable=False),
    Column("unfinished", Boolean, nullable=False, comment="no key ever had it"),
)
"""Key material on a token that no key has, or may have. No foreign keys: it outlives whatever it names."""

trail_records: Final = Table(
    "trail_records",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("origin", String, nullable=False, comment="whose trail, among replicas"),
    Column("event_id", String, nullable=False),
    Column("record", LargeBinary, nullable=False, comment="JSON"),
    Index(None, "origin"),
)
"""One row a record of the trail that was committed with a change and may not be in a file yet."""

replicas: Final = Table(
    "replicas",
    metadata,
    Column("id", String, primary_key=True),
    Column("lease_until", Double, nullable=False, comment="by the database's own clock"),
    Index(None, "lease_until"),
)
"""One row a lease of a replica. Who deletes it judges the lease lapsed: its holder can renew it no more."""

holds: Final = Table(
    "holds",
    metadata,
    Column("replica_id", ForeignKey("replicas.id", ondelete="CASCADE"), primary_key=True),
    Column("key_store_id", ForeignKey("key_stores.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "key_store_id"),
)
"""Which replica may answer draws from which store."""

claims: Final = Table(
    "claims",
    metadata,
    Column("key_store_id", ForeignKey("key_stores.id", ondelete="CASCADE"), primary_key=True),
    Column("replica_id", ForeignKey("replicas.id", ondelete="CASCADE"), nullable=False),
    Index(None, "replica_id"),
)
"""Which replica completes which connect."""

key_check: Final = Table(
    "key_check",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    CheckConstraint("id = 1", "only_one"),
)
"""What opens only under the master key that the registry's secrets are sealed with."""
