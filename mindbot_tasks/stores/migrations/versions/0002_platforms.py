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

#: a burst (its first message leads, `merged_into` of itself) ends as one: whoever ends the first ends all of it
SQLITE_BURST = """
    CREATE TRIGGER messages_burst_ended AFTER UPDATE OF finished_at ON messages
    WHEN NEW.merged_into = NEW.id AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL BEGIN
        UPDATE messages SET state = NEW.state, verdict = NEW.verdict, step = NEW.step, stepped_at = NEW.stepped_at,
            finished_at = NEW.finished_at, wake_at = NULL, note = 'answered together with #' || NEW.id
        WHERE conversation_id = NEW.conversation_id AND merged_into = NEW.id AND id <> NEW.id AND finished_at IS NULL;
    END
    """
POSTGRESQL_BURST = (
    """
    CREATE FUNCTION messages_burst_ended() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE messages SET state = NEW.state, verdict = NEW.verdict, step = NEW.step, stepped_at = NEW.stepped_at,
            finished_at = NEW.finished_at, wake_at = NULL, note = 'answered together with #' || NEW.id
        WHERE conversation_id = NEW.conversation_id AND merged_into = NEW.id AND id <> NEW.id AND finished_at IS NULL;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER messages_burst_ended AFTER UPDATE OF finished_at ON messages FOR EACH ROW
    WHEN (NEW.merged_into = NEW.id AND NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL)
    EXECUTE FUNCTION messages_burst_ended()
    """,
)


def _following(among: str) -> str:
    """As in 0001: who comes after a message in its conversation."""
    return f"""
    CREATE OR REPLACE FUNCTION messages_following(conversation bigint, message bigint) RETURNS text
    LANGUAGE sql VOLATILE AS $$
        SELECT n.id || ':' || n.state || ':' || coalesce(n.verdict, '') FROM messages n
        WHERE n.conversation_id = conversation AND n.id > message AND n.finished_at IS NULL {among}
        ORDER BY n.id LIMIT 1
    $$
    """  # noqa: S608 - only our own words


def upgrade() -> None:
    op.add_column("conversations", sa.Column("reset_at", sa.BigInteger()))
    op.add_column("conversations", sa.Column("reset_by", ID))
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
    if op.get_bind().dialect.name == "sqlite":
        op.execute(SQLITE_BURST)
        return
    # neither one that ends with another, nor one that need not wait for its turn
    among = "AND (n.merged_into IS NULL OR n.merged_into = n.id) AND n.label IS DISTINCT FROM '/status'"
    for statement in (*POSTGRESQL_BURST, _following(among)):
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER messages_burst_ended")
    else:
        op.execute("DROP TRIGGER messages_burst_ended ON messages")
        op.execute("DROP FUNCTION messages_burst_ended()")
        op.execute(_following(""))
    for table in ("files", "feedback", "occurrences", "feeds"):
        op.drop_table(table)
    for table, column in (
        ("messages", "merged_into"),
        ("messages", "cancelled_at"),
        ("conversations", "with_human_since"),
        ("conversations", "model"),
        ("conversations", "reset_by"),
        ("conversations", "reset_at"),
    ):
        op.drop_column(table, column)
