"""What the classifier learns from: labelled examples, and its trained versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "classifier_examples",
        sa.Column("message_id", ID, nullable=False),
        sa.Column("label", sa.String(80), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("given_by", sa.String(255), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("fk_classifier_examples_message_id_messages"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_classifier_examples")),
    )
    op.create_table(
        "classifier_versions",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("figures", JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("activated_at", sa.BigInteger()),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_classifier_versions_activated_at", "classifier_versions", ["activated_at"])


def downgrade() -> None:
    op.drop_table("classifier_versions")
    op.drop_table("classifier_examples")
