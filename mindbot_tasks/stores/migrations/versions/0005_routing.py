"""How workflows are chosen and how well they do: assignments, outcomes, satisfaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "tallies",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("answerer", sa.String(120), primary_key=True),
        sa.Column("variant", sa.String(160), primary_key=True),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("recovered", sa.Integer(), nullable=False),
        sa.Column("unanswered", sa.Integer(), nullable=False),
        sa.Column("took_ms", sa.BigInteger(), nullable=False),
        sa.Column("took", JSON, nullable=False),
        sa.Column("errors", JSON, nullable=False),
        sa.Column("up", sa.Integer(), nullable=False),
        sa.Column("down", sa.Integer(), nullable=False),
        sa.Column("reasked", sa.Integer(), nullable=False),
    )
    op.create_table(
        "transitions",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("platform", sa.String(40), primary_key=True),
        sa.Column("bot", sa.String(80), primary_key=True),
        sa.Column("came_from", sa.String(80), primary_key=True),
        sa.Column("went_to", sa.String(80), primary_key=True),
        sa.Column("times", sa.Integer(), nullable=False),
    )
    op.create_table(
        "watermarks",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("reached", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    for table in ("watermarks", "transitions", "tallies"):
        op.drop_table(table)
