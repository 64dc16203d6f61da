"""The history of alerts: what happened, lists for people, figures for reviews, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select

from mindbot_tasks.stores.records import Record, many
from mindbot_tasks.stores.tables_alerts import AlertEventRow, AlertRow, NotificationRow, SilenceRow


def of(connection: Connection, alert_id: int) -> list[Record]:
    """Everything that happened to one alert, in order."""
    return many(
        connection.execute(
            select(AlertEventRow.__table__).where(AlertEventRow.alert_id == alert_id).order_by(AlertEventRow.id)
        )
    )


def with_alerts(connection: Connection, kinds: Sequence[str], *, since: int) -> list[Record]:
    """What happened of these kinds since then, in order, and when its alert was over."""
    return many(
        connection.execute(
            select(AlertEventRow.__table__, AlertRow.resolved_at)
            .join(AlertRow, AlertRow.id == AlertEventRow.alert_id)
            .where(AlertEventRow.kind.in_(kinds), AlertEventRow.at > since)
            .order_by(AlertEventRow.id)
        )
    )


def count_of(connection: Connection, rule: str, kind: str, *, since: int) -> int:
    """How often something happened to alerts of a rule."""
    return connection.execute(
        select(func.count()).where(AlertEventRow.kind == kind, AlertEventRow.at > since, AlertEventRow.rule == rule)
    ).scalar_one()


def listed(
    connection: Connection, *, state: str = "", rule: str = "", limit: int = 50, before_id: int | None = None
) -> list[Record]:
    """Alerts, newest first; state "open" are those that are not resolved."""
    query = select(AlertRow.__table__).order_by(AlertRow.id.desc()).limit(limit)
    if state == "open":
        query = query.where(AlertRow.resolved_at.is_(None))
    elif state:
        query = query.where(AlertRow.state == state)
    if rule:
        query = query.where(AlertRow.rule == rule)
    if before_id is not None:
        query = query.where(AlertRow.id < before_id)
    return many(connection.execute(query))


@dataclass(frozen=True, slots=True)
class RuleFigures:
    """How a rule has behaved; times are means in seconds, None where there was none."""

    rule: str
    alerts: int
    reopened: int
    notifications: int
    cost: float
    acknowledged: int
    to_acknowledge_s: float | None
    to_resolve_s: float | None


def noisiest(connection: Connection, *, since: int) -> list[RuleFigures]:
    """Every rule that fired since then, the noisiest first."""
    told = (
        select(
            NotificationRow.alert_id,
            func.count().label("notifications"),
            func.coalesce(func.sum(NotificationRow.cost), 0).label("cost"),
        )
        .where(NotificationRow.created_at > since)
        .group_by(NotificationRow.alert_id)
        .subquery()
    )
    rows = connection.execute(
        select(
            AlertRow.rule,
            func.count().label("alerts"),
            func.sum(AlertRow.reopened).label("reopened"),
            func.coalesce(func.sum(told.c.notifications), 0).label("notifications"),
            func.coalesce(func.sum(told.c.cost), 0.0).label("cost"),
            func.count(AlertRow.acknowledged_at).label("acknowledged"),
            func.avg(AlertRow.acknowledged_at - AlertRow.opened_at).label("to_acknowledge"),
            func.avg(AlertRow.resolved_at - AlertRow.opened_at).label("to_resolve"),
        )
        .outerjoin(told, told.c.alert_id == AlertRow.id)
        .where(AlertRow.opened_at > since)
        .group_by(AlertRow.rule)
    )
    found = [
        RuleFigures(
            row.rule, row.alerts, int(row.reopened or 0), int(row.notifications), float(row.cost), row.acknowledged,
            None if row.to_acknowledge is None else float(row.to_acknowledge) / 1000,
            None if row.to_resolve is None else float(row.to_resolve) / 1000,
        )
        for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda one: (-(one.alerts + one.reopened), one.rule))


def export(connection: Connection, *, since: int, until: int) -> Iterator[dict[str, Any]]:
    """Alerts, what happened to them and who was told, in the order of time; one record each."""
    sources = ((AlertRow, AlertRow.opened_at, "alert"), (AlertEventRow, AlertEventRow.at, "event"),
               (NotificationRow, NotificationRow.created_at, "notification"))  # fmt: skip
    for table, at, kind in sources:
        query = select(table.__table__).where(at >= since, at < until).order_by(table.id)
        for row in connection.execute(query).mappings():
            yield {"kind_of_record": kind, **dict(row)}


def forget(connection: Connection, *, before: int, limit: int = 1000) -> int:
    """Drop alerts resolved before then, with their history; returns how many. Run it in a transaction."""
    ids = list(
        connection.execute(
            select(AlertRow.id).where(AlertRow.resolved_at < before).order_by(AlertRow.id).limit(limit)
        ).scalars()
    )
    if ids:
        connection.execute(delete(AlertEventRow).where(AlertEventRow.alert_id.in_(ids)))
        connection.execute(delete(NotificationRow).where(NotificationRow.alert_id.in_(ids)))
        connection.execute(delete(AlertRow).where(AlertRow.id.in_(ids)))
    connection.execute(delete(AlertEventRow).where(AlertEventRow.alert_id.is_(None), AlertEventRow.at < before))
    connection.execute(delete(SilenceRow).where(SilenceRow.ends_at < before))
    return len(ids)
