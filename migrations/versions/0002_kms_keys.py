"""KMS keys, their aliases, tags and grants, and the material that no key has any more.

Revision 0002, after 0001, of 2026-11-24.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_kms_keys()
    _create_key_aliases()
    _create_key_tags()
    _create_key_grants()
    _create_key_remains()


def downgrade() -> None:
    """Drop the tables: the keys are lost, and their material stays on the tokens."""
    op.drop_table("key_remains")
    op.drop_index("ix_key_grants_account_region_retiring", "key_grants")
    op.drop_index("ix_key_grants_key_id_created_at_id", "key_grants")
    op.drop_table("key_grants")
    op.drop_table("key_tags")
    op.drop_index("ix_key_aliases_key_id", "key_aliases")
    op.drop_table("key_aliases")
    op.drop_index("ix_kms_keys_deletion_at", "kms_keys")
    op.drop_index("ix_kms_keys_key_store_id", "kms_keys")
    op.drop_index("ix_kms_keys_account_region_created_at_id", "kms_keys")
    op.drop_table("kms_keys")


def _create_kms_keys() -> None:
    op.create_table(
        "kms_keys",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("key_store_id", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("deletion_at", sa.Double, comment="set while the key is pending deletion"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kms_keys"),
        sa.ForeignKeyConstraint(["key_store_id"], ["key_stores.id"], name="fk_kms_keys_key_store_id"),
    )
    op.create_index(
        "ix_kms_keys_account_region_created_at_id", "kms_keys", ["account", "region", "created_at", "id"]
    )
    op.create_index("ix_kms_keys_key_store_id", "kms_keys", ["key_store_id"])
    op.create_index("ix_kms_keys_deletion_at", "kms_keys", ["deletion_at"])


def _create_key_aliases() -> None:
    op.create_table(
        "key_aliases",
        sa.Column("account", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("account", "region", "name", name="pk_key_aliases"),
        sa.ForeignKeyConstraint(
            ["key_id"], ["kms_keys.id"], name="fk_key_aliases_key_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_key_aliases_key_id", "key_aliases", ["key_id"])


def _create_key_tags() -> None:
    op.create_table(
        "key_tags",
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("tag_key", sa.String, nullable=False),
        sa.Column("tag_value", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "tag_key", name="pk_key_tags"),
        sa.ForeignKeyConstraint(["key_id"], ["kms_keys.id"], name="fk_key_tags_key_id", ondelete="CASCADE"),
    )


def _create_key_grants() -> None:
    op.create_table(
        "key_grants",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("grantee", sa.String, nullable=False, comment="principal or service"),
        sa.Column("retiring", sa.String, comment="principal or service"),
        sa.Column("grant", sa.LargeBinary, nullable=False, comment="the whole, JSON"),
        sa.PrimaryKeyConstraint("id", name="pk_key_grants"),
        sa.ForeignKeyConstraint(["key_id"], ["kms_keys.id"], name="fk_key_grants_key_id", ondelete="CASCADE"),
    )
    op.create_index("ix_key_grants_key_id_created_at_id", "key_grants", ["key_id", "created_at", "id"])
    op.create_index("ix_key_grants_account_region_retiring", "key_grants", ["account", "region", "retiring"])


def _create_key_remains() -> None:
    op.create_table(
        "key_remains",
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("key_store_id", sa.String, nullable=False),
        sa.Column("cluster_id", sa.String, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("unfinished", sa.Boolean, nullable=False, comment="no key ever had it"),
        sa.PrimaryKeyConstraint("key_id", name="pk_key_remains"),
    )
