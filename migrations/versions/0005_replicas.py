"""Replicas, what they hold and what they have claimed.

Revision 0005, after 0004, of 2026-11-24.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("lease_until", sa.Double, nullable=False, comment="by the database's own clock"),
        sa.PrimaryKeyConstraint("id", name="pk_replicas"),
    )
    op.create_index("ix_replicas_lease_until", "replicas", ["lease_until"])
    op.create_table(
        "holds",
        sa.Column("replica_id", sa.String, nullable=False),
        sa.Column("key_store_id", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("replica_id", "key_store_id", name="pk_holds"),
        _of_replica("holds"),
        _of_key_store("holds"),
    )
    op.create_index("ix_holds_key_store_id", "holds", ["key_store_id"])
    op.create_table(
        "claims",
        sa.Column("key_store_id", sa.String, nullable=False),
        sa.Column("replica_id", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("key_store_id", name="pk_claims"),
        _of_key_store("claims"),
        _of_replica("claims"),
    )
    op.create_index("ix_claims_replica_id", "claims", ["replica_id"])
    op.create_table(
        "key_check",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_key_check"),
        sa.CheckConstraint("id = 1", name=op.f("ck_key_check_only_one")),
    )


def _of_replica(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["replica_id"], ["replicas.id"], name=f"fk_{table}_replica_id", ondelete="CASCADE"
    )


def _of_key_store(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["key_store_id"], ["key_stores.id"], name=f"fk_{table}_key_store_id", ondelete="CASCADE"
    )


def downgrade() -> None:
    """Drop what replicas say to each other; what the registry says to clients stays."""
    for table in ("key_check", "claims", "holds", "replicas"):
        op.drop_table(table)
