"""Records of the trail, committed with the changes that they tell of.

Revision 0004, after 0003, of 2026-11-24.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trail_records",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("origin", sa.String, nullable=False, comment="whose trail, among replicas"),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False, comment="JSON"),
        sa.PrimaryKeyConstraint("number", name="pk_trail_records"),
    )
    op.create_index("ix_trail_records_origin", "trail_records", ["origin"])


def downgrade() -> None:
    """Forget what is in no file yet."""
    op.drop_table("trail_records")
