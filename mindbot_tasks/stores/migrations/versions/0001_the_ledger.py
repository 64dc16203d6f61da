"""The ledger: conversations, users, messages, answers, the timeline, sends, sessions, workers and duties."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

# The timeline writes itself: whoever changes `stepped_at` leaves an event, whoever raises `sent_parts` a send.
IN_SQLITE = (
    """
    CREATE TRIGGER messages_received AFTER INSERT ON messages BEGIN
        INSERT INTO events (message_id, at, step, state, attempt, worker_id, took_ms, note)
        VALUES (NEW.id, NEW.stepped_at, NEW.step, NEW.state, NEW.attempt, NULL, 0, NEW.note);
    END
    """,
    """
    CREATE TRIGGER messages_stepped AFTER UPDATE OF stepped_at ON messages BEGIN
        INSERT INTO events (message_id, at, step, state, attempt, worker_id, took_ms, note)
        VALUES (NEW.id, NEW.stepped_at, NEW.step, NEW.state, NEW.attempt,
                COALESCE(NEW.lease_owner, OLD.lease_owner), NEW.stepped_at - OLD.stepped_at, NEW.note);
    END
    """,
    """
    CREATE TRIGGER messages_sent AFTER UPDATE OF sent_parts ON messages WHEN NEW.sent_parts > OLD.sent_parts BEGIN
        INSERT INTO sends (message_id, part, attempt, worker_id, external_id, note, sent_at)
        VALUES (NEW.id, NEW.sent_parts - 1, NEW.attempt, COALESCE(NEW.lease_owner, OLD.lease_owner),
                NEW.sent_id, NEW.note, NEW.stepped_at);
    END
    """,
)
IN_POSTGRESQL = (
    """
    CREATE FUNCTION messages_stepped() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO events (message_id, at, step, state, attempt, worker_id, took_ms, note)
            VALUES (NEW.id, NEW.stepped_at, NEW.step, NEW.state, NEW.attempt, NULL, 0, NEW.note);
            RETURN NULL;
        END IF;
        INSERT INTO events (message_id, at, step, state, attempt, worker_id, took_ms, note)
        VALUES (NEW.id, NEW.stepped_at, NEW.step, NEW.state, NEW.attempt,
                COALESCE(NEW.lease_owner, OLD.lease_owner), NEW.stepped_at - OLD.stepped_at, NEW.note);
        IF NEW.sent_parts > OLD.sent_parts THEN
            INSERT INTO sends (message_id, part, attempt, worker_id, external_id, note, sent_at)
            VALUES (NEW.id, NEW.sent_parts - 1, NEW.attempt, COALESCE(NEW.lease_owner, OLD.lease_owner),
                    NEW.sent_id, NEW.note, NEW.stepped_at);
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER messages_received AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION messages_stepped()",
    "CREATE TRIGGER messages_stepped AFTER UPDATE OF stepped_at ON messages "
    "FOR EACH ROW EXECUTE FUNCTION messages_stepped()",
    # who comes after a message in its conversation. VOLATILE on purpose: its query takes a snapshot of its own, after
    # the message that asks was locked, and so sees whoever was recorded in the meantime
    """
    CREATE FUNCTION messages_following(conversation bigint, message bigint) RETURNS text LANGUAGE sql VOLATILE AS $$
        SELECT n.id || ':' || n.state || ':' || coalesce(n.verdict, '') FROM messages n
        WHERE n.conversation_id = conversation AND n.id > message AND n.finished_at IS NULL
        ORDER BY n.id LIMIT 1
    $$
    """,
    # every message leaves several dead entries in the small indexes; a fifth of a large table is too late to tidy up
    """
    ALTER TABLE messages SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
                              autovacuum_analyze_scale_factor = 0.02)
    """,
)


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("bot", sa.String(length=80), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("title", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversations")),
        sa.UniqueConstraint("platform", "bot", "external_id", name=op.f("uq_conversations_platform_bot_external_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "duties",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("ran_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_duties")),
    )
    op.create_table(
        "events",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker_id", ID, nullable=True),
        sa.Column("took_ms", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_message_id", "events", ["message_id"], unique=False)

    op.create_table(
        "sends",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("message_id", ID, nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker_id", ID, nullable=True),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sends")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sends_message_id", "sends", ["message_id"], unique=False)

    op.create_table(
        "users",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("platform", "external_id", name=op.f("uq_users_platform_external_id")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "workers",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("queues", JSON, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_workers_alive",
        "workers",
        ["seen_at"],
        unique=False,
        sqlite_where=sa.text("gone_at IS NULL"),
        postgresql_where=sa.text("gone_at IS NULL"),
    )

    op.create_table(
        "messages",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("bot", sa.String(length=80), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("conversation_ref", sa.String(length=255), nullable=False),
        sa.Column("conversation_kind", sa.String(length=20), nullable=False),
        sa.Column("sender_ref", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("parts", JSON, nullable=False),
        sa.Column("address", JSON, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("verdict", sa.String(length=20), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("strikes", sa.Integer(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("lease_owner", ID, nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("wake_at", sa.BigInteger(), nullable=True),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.Column("label", sa.String(length=80), nullable=True),
        sa.Column("confidence", sa.Double(), nullable=True),
        sa.Column("classification", JSON, nullable=True),
        sa.Column("sent_parts", sa.Integer(), nullable=False),
        sa.Column("sent_id", sa.String(length=255), nullable=True),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("stepped_at", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("classified_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("replying_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_messages_conversation_id_conversations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("platform", "bot", "external_id", name=op.f("uq_messages_platform_bot_external_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_messages_history",
        "messages",
        ["conversation_id", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'replied'"),
        postgresql_where=sa.text("state = 'replied'"),
    )
    op.create_index(
        "ix_messages_lease",
        "messages",
        ["lease_owner"],
        unique=False,
        sqlite_where=sa.text("lease_owner IS NOT NULL"),
        postgresql_where=sa.text("lease_owner IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_turn",
        "messages",
        ["conversation_id", "id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_messages_wake",
        "messages",
        ["wake_at"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )

    op.create_table(
        "sessions",
        sa.Column("conversation_id", ID, nullable=False),
        sa.Column("answerer", sa.String(length=120), nullable=False),
        sa.Column("user_ref", sa.String(length=255), nullable=False),
        sa.Column("session_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversations.id"], name=op.f("fk_sessions_conversation_id_conversations")
        ),
        sa.PrimaryKeyConstraint("conversation_id", "answerer", "user_ref", name=op.f("pk_sessions")),
    )
    op.create_table(
        "answers",
        sa.Column("message_id", ID, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("parts", JSON, nullable=False),
        sa.Column("provider", sa.String(length=80), nullable=False),
        sa.Column("model", sa.String(length=120), nullable=False),
        sa.Column("workflow", sa.String(length=80), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("first_token_ms", sa.Integer(), nullable=True),
        sa.Column("details", JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_answers_message_id_messages"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_answers")),
    )
    for statement in IN_SQLITE if op.get_bind().dialect.name == "sqlite" else IN_POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("answers")
    op.drop_table("sessions")

    op.drop_table("messages")

    op.drop_table("workers")
    op.drop_table("users")

    op.drop_table("sends")

    op.drop_table("events")
    op.drop_table("duties")
    op.drop_table("conversations")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION messages_stepped()")
        op.execute("DROP FUNCTION messages_following(bigint, bigint)")
