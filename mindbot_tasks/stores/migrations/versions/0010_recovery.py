"""What a worker's process can be watched by on its own machine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("process", sa.String(160), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    with op.batch_alter_table("workers") as workers:
        workers.drop_column("process")
