"""Alerts: probes, what fired, who was told and what is due next."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

TABLES = (
    "probes",
    "probe_results",
    "metric_hours",
    "alert_conditions",
    "alerts",
    "alert_events",
    "notifications",
    "silences",
)


def upgrade() -> None:
    op.create_table(
        "probes",
        sa.Column("name", sa.String(160), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("interval_ms", sa.Integer(), nullable=False),
        sa.Column("timeout_ms", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_until", sa.BigInteger()),
        sa.Column("ran_at", sa.BigInteger()),
        sa.Column("ok", sa.Boolean()),
        sa.Column("took_ms", sa.Integer()),
        sa.Column("error", sa.String(300)),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("successes", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger()),
        sa.Column("readings", JSON, nullable=False),
        sa.Column("memory", JSON, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_probes"),
    )
    op.create_index("ix_probes_next_at", "probes", ["next_at"])
    op.create_table(
        "probe_results",
        sa.Column("id", ID, nullable=False, autoincrement=True),
        sa.Column("probe", sa.String(160), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(300)),
        sa.Column("readings", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_probe_results"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_probe_results_at", "probe_results", ["at"])
    op.create_index("ix_probe_results_probe_at", "probe_results", ["probe", "at"])
    op.create_table(
        "metric_hours",
        sa.Column("metric", sa.String(80), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("total", sa.Float(), nullable=False),
        sa.Column("squares", sa.Float(), nullable=False),
        sa.Column("lowest", sa.Float(), nullable=False),
        sa.Column("highest", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("metric", "subject", "hour", name="pk_metric_hours"),
    )
    op.create_table(
        "alert_conditions",
        sa.Column("rule", sa.String(80), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("phase", sa.String(10), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("false_since", sa.BigInteger()),
        sa.Column("judged_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rule", "subject", name="pk_alert_conditions"),
    )
    op.create_table(
        "alerts",
        sa.Column("id", ID, nullable=False, autoincrement=True),
        sa.Column("code", sa.String(12), nullable=False),
        sa.Column("rule", sa.String(80), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("component", sa.String(160), nullable=False),
        sa.Column("summary", sa.String(500), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("members", JSON, nullable=False),
        sa.Column("readings", JSON, nullable=False),
        sa.Column("policy", JSON, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False),
        sa.Column("next_step_at", sa.BigInteger()),
        sa.Column("muted_by", sa.String(160)),
        sa.Column("told_at", sa.BigInteger()),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("fired_at", sa.BigInteger(), nullable=False),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.Column("acknowledged_by", sa.String(160)),
        sa.Column("acknowledged_via", sa.String(20)),
        sa.Column("cleared_at", sa.BigInteger()),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.Column("resolved_by", sa.String(160)),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("code", name="uq_alerts_code"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_alerts_due",
        "alerts",
        ["next_step_at"],
        sqlite_where=sa.text("next_step_at IS NOT NULL"),
        postgresql_where=sa.text("next_step_at IS NOT NULL"),
    )
    op.create_index("ix_alerts_fingerprint_opened_at", "alerts", ["fingerprint", "opened_at"])
    op.create_index(
        "ix_alerts_open",
        "alerts",
        ["fingerprint"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index("ix_alerts_opened_at", "alerts", ["opened_at"])
    op.create_table(
        "alert_events",
        sa.Column("id", ID, nullable=False, autoincrement=True),
        sa.Column("alert_id", ID),
        sa.Column("rule", sa.String(80), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("actor", sa.String(160), nullable=False),
        sa.Column("note", sa.String(500), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alert_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alert_events_alert_id", "alert_events", ["alert_id"])
    op.create_index("ix_alert_events_kind_at", "alert_events", ["kind", "at"])
    op.create_table(
        "notifications",
        sa.Column("id", ID, nullable=False, autoincrement=True),
        sa.Column("alert_id", ID, nullable=False),
        sa.Column("intent", sa.String(250), nullable=False),
        sa.Column("event", sa.String(20), nullable=False),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(120), nullable=False),
        sa.Column("channel", sa.String(20), nullable=False),
        sa.Column("address", sa.String(255), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("covered_by", ID),
        sa.Column("notifier", sa.String(80)),
        sa.Column("tried", JSON, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sending_since", sa.BigInteger()),
        sa.Column("accepted_at", sa.BigInteger()),
        sa.Column("delivered_at", sa.BigInteger()),
        sa.Column("provider_message_id", sa.String(255)),
        sa.Column("cost", sa.Float()),
        sa.Column("currency", sa.String(10)),
        sa.Column("segments", sa.Integer()),
        sa.Column("error", sa.String(300)),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint("intent", name="uq_notifications_intent"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notifications_address_accepted_at", "notifications", ["address", "accepted_at"])
    op.create_index("ix_notifications_alert_id", "notifications", ["alert_id"])
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["next_try_at"],
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_index("ix_notifications_provider_message_id", "notifications", ["provider_message_id"])
    op.create_table(
        "silences",
        sa.Column("id", ID, nullable=False, autoincrement=True),
        sa.Column("matchers", JSON, nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(160), nullable=False),
        sa.Column("comment", sa.String(500), nullable=False),
        sa.Column("maintenance", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_silences_ends_at", "silences", ["ends_at"])
    # only messages that were quarantined are in it: costs an ordinary message nothing
    op.create_index(
        "ix_messages_quarantined",
        "messages",
        ["finished_at"],
        sqlite_where=sa.text("state = 'quarantined'"),
        postgresql_where=sa.text("state = 'quarantined'"),
    )


def downgrade() -> None:
    op.drop_index("ix_messages_quarantined", "messages")
    for table in reversed(TABLES):
        op.drop_table(table)
