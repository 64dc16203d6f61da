"""What the platforms need: feeds to pull, occurrences, feedback, files; resets, hand-over and cancellation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("conversations", sa.Column("reset_at", sa.BigInteger()))
    op.add_column("conversations", sa.Column("model", sa.String(120)))
    op.add_column("conversations", sa.Column("with_human_since", sa.BigInteger()))
    op.add_column("messages", sa.Column("cancelled_at", sa.BigInteger()))
    op.add_column("messages", sa.Column("merged_into", ID))
    op.create_table(
        "feeds",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("bot", sa.String(80), nullable=False),
        sa.Column("feed", sa.String(255), nullable=False),
        sa.Column("cursor", sa.String(255), nullable=False),
        sa.Column("token", sa.String(512), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("served", sa.Integer(), nullable=False),
        sa.Column("rung_at", sa.BigInteger()),
        sa.Column("pulled_at", sa.BigInteger()),
        sa.Column("holder", sa.String(80)),
        sa.Column("held_until", sa.BigInteger()),
        sa.Column("not_before", sa.BigInteger()),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(500)),
        sa.UniqueConstraint("platform", "bot", "feed", name="uq_feeds_platform_bot_feed"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "occurrences",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("bot", sa.String(80), nullable=False),
        sa.Column("external_id", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("conversation_ref", sa.String(255), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("happened_at", sa.BigInteger()),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("platform", "bot", "external_id", name="uq_occurrences_platform_bot_external_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_occurrences_conversation", "occurrences", ["platform", "bot", "conversation_ref"])
    op.create_table(
        "feedback",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("message_id", ID),
        sa.Column("platform", sa.String(40), nullable=False),
        sa.Column("bot", sa.String(80), nullable=False),
        sa.Column("answer_ref", sa.String(255), nullable=False),
        sa.Column("user_ref", sa.String(255), nullable=False),
        sa.Column("vote", sa.String(20), nullable=False),
        sa.Column("voted_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint(
            "platform", "bot", "answer_ref", "user_ref", name="uq_feedback_platform_bot_answer_ref_user_ref"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_message_id", "feedback", ["message_id"])
    op.create_table(
        "files",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("message_id", ID),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("media_type", sa.String(120), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("place", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_files_message_id", "files", ["message_id"])
    op.create_index("ix_files_expires_at", "files", ["expires_at"])
    op.create_index("ix_files_place", "files", ["place"])


def downgrade() -> None:
    for table in ("files", "feedback", "occurrences", "feeds"):
        op.drop_table(table)
    for table, column in (
        ("messages", "merged_into"),
        ("messages", "cancelled_at"),
        ("conversations", "with_human_since"),
        ("conversations", "model"),
        ("conversations", "reset_at"),
    ):
        op.drop_column(table, column)
