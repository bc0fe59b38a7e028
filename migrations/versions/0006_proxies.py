"""External key stores are found by their proxies.

Revision 0006, after 0005, of 2026-11-24.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INDEXES = {  # what tells stores apart comes first: a planner without statistics chooses better
    "ix_key_stores_proxy_uri": ("xks_uri_endpoint", "account", "region", "xks_uri_path"),
    "ix_key_stores_proxy_connectivity": ("xks_connectivity", "xks_uri_endpoint", "account", "region"),
    "ix_key_stores_proxy_service": ("xks_vpc_endpoint_service_name", "account", "region"),
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.create_index(name, "key_stores", list(columns))


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "key_stores")
