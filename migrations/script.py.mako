"""${message}.

Revision ${up_revision}, after ${down_revision or "nothing"}, of ${create_date.date()}.
"""

# Rules for a migration that loses nothing:
#
# - Old and new replicas run side by side while a deployment rolls, so a migration must leave the *previous*
#   version working: add what may be NULL or has a server default; stop using a column in one release and
#   drop it in a later one; never rename.
# - Add its revision to REVISIONS in hsmstore/storage/migrations.py, at the end.
# - Write out what a row becomes; import nothing of hsmstore, whose models go on changing.
# - Alembic compares neither CHECK constraints nor renames: read what --autogenerate wrote. A test compares
#   the migrated schema with the models, statement by statement.
# - On SQLite alter with op.batch_alter_table: the table is made anew, with foreign keys switched off.
# - All of a run is one transaction, so that it succeeds or changes nothing: no autocommit_block, and so no
#   CREATE INDEX CONCURRENTLY. The tables hold tens of rows; a lock for one statement is none.
# - Write downgrade(), and say in its docstring what it drops.

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
