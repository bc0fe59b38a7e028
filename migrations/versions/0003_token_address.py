"""Where a networked module finds a cluster's token.

Revision 0003, after 0002, of 2026-11-24.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("clusters", sa.Column("token_address", sa.String))


def downgrade() -> None:
    """Forget the addresses: such clusters are then sought where the server's environment says."""
    op.drop_column("clusters", "token_address")
