"""What the agent's tools do: confirmations that are waited for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "tool_confirmations",
        sa.Column("message_id", ID, nullable=False),
        sa.Column("token", sa.String(40), nullable=False),
        sa.Column("calls", JSON, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", ID),
        sa.Column("decided_at", sa.BigInteger()),
        sa.Column("results", JSON),
        sa.PrimaryKeyConstraint("message_id", name="pk_tool_confirmations"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_tool_confirmations_message_id_messages", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    op.drop_table("tool_confirmations")
