"""Sums for the figures that go outside: each in one statement over a small index or a small table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from mindbot_tasks.stores import spending
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables_alerts import AlertRow, NotificationRow
from mindbot_tasks.stores.tables_knowledge import DocumentRow
from mindbot_tasks.stores.tables_spending import SpendingRow


def spent_today(connection: Connection) -> Sequence[Any]:
    """(provider, model, cost, calls, input_tokens, output_tokens) of each model that was called today."""
    return connection.execute(
        select(
            SpendingRow.provider,
            SpendingRow.model,
            (func.sum(SpendingRow.cost_nano) * 1.0 / spending.NANO).label("cost"),
            func.sum(SpendingRow.calls).label("calls"),
            func.sum(SpendingRow.input_tokens).label("input_tokens"),
            func.sum(SpendingRow.output_tokens).label("output_tokens"),
        )
        .where(SpendingRow.day == spending.today())
        .group_by(SpendingRow.provider, SpendingRow.model)
    ).all()


def documents(connection: Connection) -> Sequence[Any]:
    """(base, state, documents, chunks, embedded)."""
    return connection.execute(
        select(
            DocumentRow.base,
            DocumentRow.state,
            func.count().label("documents"),
            func.sum(DocumentRow.chunks).label("chunks"),
            func.sum(DocumentRow.embedded).label("embedded"),
        ).group_by(DocumentRow.base, DocumentRow.state)
    ).all()


def open_alerts(connection: Connection) -> dict[tuple[str, str], int]:
    """(severity, state) -> how many."""
    rows = connection.execute(
        select(AlertRow.severity, AlertRow.state, func.count())
        .where(AlertRow.resolved_at.is_(None))
        .group_by(AlertRow.severity, AlertRow.state)
    )
    return {(severity, state): count for severity, state, count in rows}


def waiting_notifications(connection: Connection) -> tuple[int, int, int]:
    """How many are to be sent or asked for, for how many milliseconds the first of them is overdue, and the time."""
    count, due_at, now = connection.execute(
        select(func.count(), func.min(NotificationRow.next_try_at), DB_NOW).where(
            NotificationRow.next_try_at.is_not(None)
        )
    ).one()
    return int(count), int(now) - int(due_at) if due_at is not None else 0, int(now)
