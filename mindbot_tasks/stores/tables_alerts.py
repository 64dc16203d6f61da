"""The tables of alerts: probes and what they found, what fired, who was told, and what is due next."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from mindbot_tasks.stores.tables import Base, Id, Json


class ProbeRow(Base):
    """One thing that is looked at every so often, and how it was the last time."""

    __tablename__ = "probes"
    __table_args__ = (Index("ix_probes_next_at", "next_at"),)

    name: Mapped[str] = mapped_column(String(160), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(160))  #: what its metrics are about; "": MindBot as a whole
    interval_ms: Mapped[int] = mapped_column(Integer)
    timeout_ms: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[int] = mapped_column(BigInteger)
    asked_until: Mapped[int | None] = mapped_column(BigInteger)  #: a task for it is on its way, and expires then
    ran_at: Mapped[int | None] = mapped_column(BigInteger)
    ok: Mapped[bool | None] = mapped_column(Boolean)
    took_ms: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(String(300))
    failures: Mapped[int] = mapped_column(Integer)  #: in a row
    successes: Mapped[int] = mapped_column(Integer)  #: in a row
    changed_at: Mapped[int | None] = mapped_column(BigInteger)  #: when it last went from well to ill or back
    readings: Mapped[dict[str, Any]] = mapped_column(Json)  #: metric -> value
    memory: Mapped[dict[str, Any]] = mapped_column(Json)  #: what the probe wants to know the next time (a cursor)


class ProbeResultRow(Base):
    """What one run of a probe found."""

    __tablename__ = "probe_results"
    __table_args__ = (
        Index("ix_probe_results_probe_at", "probe", "at"),
        Index("ix_probe_results_at", "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    probe: Mapped[str] = mapped_column(String(160))
    at: Mapped[int] = mapped_column(BigInteger)
    ok: Mapped[bool] = mapped_column(Boolean)
    took_ms: Mapped[int] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(String(300))
    readings: Mapped[dict[str, Any]] = mapped_column(Json)


class MetricHourRow(Base):
    """An hour of one metric, added up: what baselines and forecasts are made of."""

    __tablename__ = "metric_hours"

    metric: Mapped[str] = mapped_column(String(80), primary_key=True)
    subject: Mapped[str] = mapped_column(String(160), primary_key=True)
    hour: Mapped[int] = mapped_column(BigInteger, primary_key=True)  #: hours since 1970
    count: Mapped[int] = mapped_column(Integer)
    total: Mapped[float] = mapped_column(Float)
    squares: Mapped[float] = mapped_column(Float)
    lowest: Mapped[float] = mapped_column(Float)
    highest: Mapped[float] = mapped_column(Float)


class AlertConditionRow(Base):
    """How long the condition of a rule has held, or has not, for one subject."""

    __tablename__ = "alert_conditions"

    rule: Mapped[str] = mapped_column(String(80), primary_key=True)
    subject: Mapped[str] = mapped_column(String(160), primary_key=True)
    phase: Mapped[str] = mapped_column(String(10))  #: pending, firing; without a row: idle
    since: Mapped[int] = mapped_column(BigInteger)  #: in this phase
    false_since: Mapped[int | None] = mapped_column(BigInteger)  #: firing, but not true any more
    judged_at: Mapped[int] = mapped_column(BigInteger)


class AlertRow(Base):
    """One alert, from opening to resolution; at most one is open for each fingerprint."""

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("code"),
        Index(
            "ix_alerts_open",
            "fingerprint",
            unique=True,
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index(
            "ix_alerts_due",
            "next_step_at",
            sqlite_where=text("next_step_at IS NOT NULL"),
            postgresql_where=text("next_step_at IS NOT NULL"),
        ),
        Index("ix_alerts_fingerprint_opened_at", "fingerprint", "opened_at"),
        Index("ix_alerts_opened_at", "opened_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(String(12))  #: for people to type
    rule: Mapped[str] = mapped_column(String(80))
    fingerprint: Mapped[str] = mapped_column(String(64))  #: of the rule and what it is grouped by
    severity: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(20))  #: rule, watchdog, test, drill
    component: Mapped[str] = mapped_column(String(160))
    summary: Mapped[str] = mapped_column(String(500))
    labels: Mapped[dict[str, Any]] = mapped_column(Json)
    members: Mapped[dict[str, Any]] = mapped_column(Json)  #: subject -> since when
    readings: Mapped[dict[str, Any]] = mapped_column(Json)  #: the values that made it fire
    policy: Mapped[dict[str, Any]] = mapped_column(Json)  #: who is told when, frozen at the opening
    step: Mapped[int] = mapped_column(Integer)  #: steps of the policy that were taken
    rounds: Mapped[int] = mapped_column(Integer)  #: how often the policy began anew (repeat, re-opened)
    next_step_at: Mapped[int | None] = mapped_column(BigInteger)
    muted_by: Mapped[str | None] = mapped_column(String(160))  #: a silence, a maintenance window or another alert
    told_at: Mapped[int | None] = mapped_column(BigInteger)  #: when somebody was last told
    opened_at: Mapped[int] = mapped_column(BigInteger)
    fired_at: Mapped[int] = mapped_column(BigInteger)  #: last opened or re-opened
    reopened: Mapped[int] = mapped_column(Integer)
    acknowledged_at: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_by: Mapped[str | None] = mapped_column(String(160))
    acknowledged_via: Mapped[str | None] = mapped_column(String(20))
    cleared_at: Mapped[int | None] = mapped_column(BigInteger)  #: its condition no longer holds, it may come back
    resolved_at: Mapped[int | None] = mapped_column(BigInteger)
    resolved_by: Mapped[str | None] = mapped_column(String(160))


class AlertEventRow(Base):
    """The history of alerts: everything that happened to one, and everything that people did."""

    __tablename__ = "alert_events"
    __table_args__ = (
        Index("ix_alert_events_alert_id", "alert_id"),
        Index("ix_alert_events_kind_at", "kind", "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    alert_id: Mapped[int | None] = mapped_column(Id)
    rule: Mapped[str] = mapped_column(String(80))
    at: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(160))
    note: Mapped[str] = mapped_column(String(500))
    data: Mapped[dict[str, Any]] = mapped_column(Json)


class NotificationRow(Base):
    """The outbox: what somebody is to be told; the intent is committed before any vendor is called."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("intent"),
        Index("ix_notifications_alert_id", "alert_id"),
        Index(
            "ix_notifications_due",
            "next_try_at",
            sqlite_where=text("next_try_at IS NOT NULL"),
            postgresql_where=text("next_try_at IS NOT NULL"),
        ),
        Index("ix_notifications_provider_message_id", "provider_message_id"),
        Index("ix_notifications_address_accepted_at", "address", "accepted_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    alert_id: Mapped[int] = mapped_column(Id)
    intent: Mapped[str] = mapped_column(String(250))  #: alert, event, round, level, recipient, channel: once each
    event: Mapped[str] = mapped_column(String(20))
    severity: Mapped[str] = mapped_column(String(10))
    level: Mapped[int] = mapped_column(Integer)
    recipient: Mapped[str] = mapped_column(String(120))
    channel: Mapped[str] = mapped_column(String(20))
    address: Mapped[str] = mapped_column(String(255))
    content: Mapped[dict[str, Any]] = mapped_column(Json)  #: what `model.alert.Notification` has besides
    status: Mapped[str] = mapped_column(String(20))
    #: pending, sending, accepted, sent, delivered, failed, covered (by a summary), suppressed (by a cap), moot
    covered_by: Mapped[int | None] = mapped_column(Id)
    notifier: Mapped[str | None] = mapped_column(String(80))
    tried: Mapped[list[Any]] = mapped_column(Json)  #: notifiers that said no or failed to deliver
    attempts: Mapped[int] = mapped_column(Integer)
    next_try_at: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    sending_since: Mapped[int | None] = mapped_column(BigInteger)
    accepted_at: Mapped[int | None] = mapped_column(BigInteger)
    delivered_at: Mapped[int | None] = mapped_column(BigInteger)
    provider_message_id: Mapped[str | None] = mapped_column(String(255))
    cost: Mapped[float | None] = mapped_column(Float)
    currency: Mapped[str | None] = mapped_column(String(10))
    segments: Mapped[int | None] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(String(300))


class SilenceRow(Base):
    """Alerts that match tell nobody for a while; they are recorded all the same."""

    __tablename__ = "silences"
    __table_args__ = (Index("ix_silences_ends_at", "ends_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    matchers: Mapped[dict[str, Any]] = mapped_column(Json)  #: label -> pattern with * and ?
    starts_at: Mapped[int] = mapped_column(BigInteger)
    ends_at: Mapped[int] = mapped_column(BigInteger)
    author: Mapped[str] = mapped_column(String(160))
    comment: Mapped[str] = mapped_column(String(500))
    maintenance: Mapped[bool] = mapped_column(Boolean)  #: people are told when it is over
    created_at: Mapped[int] = mapped_column(BigInteger)
