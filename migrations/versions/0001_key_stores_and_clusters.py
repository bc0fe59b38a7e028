"""Key stores, and the clusters with the HSMs behind them.

Revision 0001, after nothing, of 2026-11-23.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_key_stores()
    _create_clusters()
    _create_hsms()
    _create_subnets()
    _create_backups()
    _create_key_store_events()
    _create_faults()
    _create_clock()


def downgrade() -> None:
    """Drop every table: all key stores and clusters are lost."""
    op.drop_table("clock")
    op.drop_table("faults")
    op.drop_index("ix_key_store_events_key_store_id", "key_store_events")
    op.drop_table("key_store_events")
    op.drop_table("backups")
    op.drop_table("subnets")
    op.drop_table("hsms")
    op.drop_table("clusters")
    op.drop_index("ix_key_stores_due_at", "key_stores")
    op.drop_table("key_stores")


def _create_key_stores() -> None:
    op.create_table(
        "key_stores",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("state_since", sa.Double, nullable=False),
        sa.Column("due_at", sa.Double),
        sa.Column("error_code", sa.String),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("cluster_id", sa.String, comment="no foreign key: a store outlives its cluster"),
        sa.Column("trust_anchor_certificate", sa.Text),
        sa.Column("password", sa.LargeBinary, comment="sealed"),
        sa.Column("pending_password", sa.LargeBinary, comment="sealed"),
        sa.Column("xks_connectivity", sa.String),
        sa.Column("xks_uri_endpoint", sa.String),
        sa.Column("xks_uri_path", sa.String),
        sa.Column("xks_access_key_id", sa.String),
        sa.Column("xks_secret_access_key", sa.LargeBinary, comment="sealed"),
        sa.Column("xks_vpc_endpoint_service_name", sa.String),
        sa.Column("xks_vpc_endpoint_service_owner", sa.String),
        sa.PrimaryKeyConstraint("id", name="pk_key_stores"),
        sa.UniqueConstraint("account", "region", "name", name="uq_key_stores_account_region_name"),
        sa.UniqueConstraint("cluster_id", name="uq_key_stores_cluster_id"),
        *_key_store_checks(),
    )
    op.create_index("ix_key_stores_due_at", "key_stores", ["due_at"])


def _key_store_checks() -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint(
            "state IN ('DISCONNECTED', 'CONNECTING', 'CONNECTED', 'DISCONNECTING', 'FAILED')",
            name=op.f("ck_key_stores_state"),
        ),
        sa.CheckConstraint(
            "(state = 'FAILED') = (error_code IS NOT NULL)",
            name=op.f("ck_key_stores_error_code_in_failed"),
        ),
        sa.CheckConstraint(
            "(state IN ('CONNECTING', 'DISCONNECTING')) = (due_at IS NOT NULL)",
            name=op.f("ck_key_stores_due_at_in_phase"),
        ),
        sa.CheckConstraint(
            "(cluster_id IS NOT NULL AND trust_anchor_certificate IS NOT NULL AND password IS NOT NULL"
            " AND xks_connectivity IS NULL AND xks_uri_endpoint IS NULL AND xks_uri_path IS NULL"
            " AND xks_access_key_id IS NULL AND xks_secret_access_key IS NULL"
            " AND xks_vpc_endpoint_service_name IS NULL AND xks_vpc_endpoint_service_owner IS NULL)"
            " OR (xks_connectivity IS NOT NULL AND xks_uri_endpoint IS NOT NULL AND xks_uri_path IS NOT NULL"
            " AND xks_access_key_id IS NOT NULL AND xks_secret_access_key IS NOT NULL"
            " AND cluster_id IS NULL AND trust_anchor_certificate IS NULL AND password IS NULL"
            " AND pending_password IS NULL)",
            name=op.f("ck_key_stores_one_backing"),
        ),
    ]


def _create_clusters() -> None:
    op.create_table(
        "clusters",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("trust_anchor_certificate", sa.Text, nullable=False),
        sa.Column("token_profile", sa.String),
        sa.Column("token_module", sa.String),
        sa.Column("token_label", sa.String),
        sa.Column("token_serial", sa.String),
        sa.Column("crypto_officer_pin", sa.LargeBinary, comment="sealed"),
        sa.Column("network_reachable", sa.Boolean, nullable=False),
        sa.Column("failed_logins", sa.Integer, nullable=False),
        sa.Column("kmsuser_elsewhere", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clusters"),
        sa.CheckConstraint(
            "state IN ('CREATE_IN_PROGRESS', 'UNINITIALIZED', 'INITIALIZE_IN_PROGRESS', 'INITIALIZED',"
            " 'ACTIVE', 'UPDATE_IN_PROGRESS', 'MODIFY_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS',"
            " 'DELETE_IN_PROGRESS', 'DELETED', 'DEGRADED')",
            name=op.f("ck_clusters_state"),
        ),
        sa.CheckConstraint(
            "(token_profile IS NULL AND token_module IS NULL AND token_label IS NULL"
            " AND token_serial IS NULL)"
            " OR (token_profile IS NOT NULL AND token_module IS NOT NULL AND token_label IS NOT NULL"
            " AND token_serial IS NOT NULL)",
            name=op.f("ck_clusters_whole_token"),
        ),
    )


def _create_hsms() -> None:
    op.create_table(
        "hsms",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("cluster_id", sa.String, nullable=False),
        sa.Column(
            "position", sa.Integer, nullable=False, comment="its place among the cluster's HSMs, from 0"
        ),
        sa.Column("availability_zone", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("has_kmsuser", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hsms"),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name="fk_hsms_cluster_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("cluster_id", "position", name="uq_hsms_cluster_id_position"),
        sa.CheckConstraint(
            "state IN ('CREATE_IN_PROGRESS', 'ACTIVE', 'DEGRADED', 'DELETE_IN_PROGRESS', 'DELETED')",
            name=op.f("ck_hsms_state"),
        ),
    )


def _create_subnets() -> None:
    op.create_table(
        "subnets",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("cluster_id", sa.String, nullable=False),
        sa.Column(
            "position", sa.Integer, nullable=False, comment="its place among the cluster's subnets, from 0"
        ),
        sa.Column("availability_zone", sa.String, nullable=False),
        sa.Column("free_addresses", sa.Integer, nullable=False),
        sa.Column("exists", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subnets"),
        sa.ForeignKeyConstraint(
            ["cluster_id"], ["clusters.id"], name="fk_subnets_cluster_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("cluster_id", "position", name="uq_subnets_cluster_id_position"),
    )


def _create_backups() -> None:
    op.create_table(
        "backups",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("cluster", sa.LargeBinary, nullable=False, comment="the cluster as it was, JSON"),
        sa.PrimaryKeyConstraint("id", name="pk_backups"),
    )


def _create_key_store_events() -> None:
    op.create_table(
        "key_store_events",
        sa.Column("number", sa.Integer, nullable=False, comment="in the order of happening"),
        sa.Column("key_store_id", sa.String, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("error_code", sa.String),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_key_store_events"),
        sa.ForeignKeyConstraint(
            ["key_store_id"],
            ["key_stores.id"],
            name="fk_key_store_events_key_store_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_key_store_events_key_store_id", "key_store_events", ["key_store_id"])


def _create_faults() -> None:
    op.create_table(
        "faults",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, comment="its place in the plan, from 0"),
        sa.Column("fault", sa.LargeBinary, nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("id", name="pk_faults"),
        sa.UniqueConstraint("number", name="uq_faults_number"),
    )


def _create_clock() -> None:
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("real", sa.Double, nullable=False),
        sa.Column("shown", sa.Double, nullable=False),
        sa.Column("rate", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clock"),
        sa.CheckConstraint("id = 1", name=op.f("ck_clock_only_one")),
    )
