"""When a vote is to be told to the app that gave the answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback", sa.Column("tell_at", sa.BigInteger()))
    op.add_column("feedback", sa.Column("tell_tries", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_index(
        "ix_feedback_tell_at",
        "feedback",
        ["tell_at"],
        sqlite_where=sa.text("tell_at IS NOT NULL"),
        postgresql_where=sa.text("tell_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_feedback_tell_at", table_name="feedback")
    with op.batch_alter_table("feedback") as feedback:
        feedback.drop_column("tell_tries")
        feedback.drop_column("tell_at")
