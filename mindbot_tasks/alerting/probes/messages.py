"""Probes of what becomes of messages: errors, times, traffic, people, quarantine; answerers and budgets."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, distinct, func, select

from mindbot_tasks.alerting.probes.context import FEWEST, Context
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.model.message import FINISHED, State
from mindbot_tasks.platforms import registry
from mindbot_tasks.stores import outbox, performance
from mindbot_tasks.stores.alert_probes import Finding
from mindbot_tasks.stores.budgets import overview
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.tables import EventRow, MessageRow
from mindbot_tasks.stores.tables_alerts import NotificationRow

MINUTE_MS = 60_000
WINDOW_MS = 5 * MINUTE_MS
USERS_MS = 15 * MINUTE_MS
QUARANTINE_MS = 10 * MINUTE_MS
#: events that are read in one run; a gap that is longer is not made up for
_MOST_EVENTS = 50_000
_BAD = tuple(state.value for state in (State.APOLOGISED, State.EXPIRED, State.QUARANTINED))
_ENDS = tuple(state.value for state in FINISHED)
#: seconds of a run that count as the same moment for the list of earlier runs
_KEPT_RUNS = 200


def messages(context: Context) -> Finding:
    """Reads only what is new since the last run, by the primary key; the memory keeps the last minutes."""
    with reading() as connection:
        newest = connection.execute(select(func.max(EventRow.id))).scalar() or 0
        last = int(context.memory.get("event", newest))
        last = max(min(last, newest), newest - _MOST_EVENTS)
        slot = _count(connection, last, newest)
        newest_message = connection.execute(select(func.max(MessageRow.id))).scalar() or 0
        marks = [mark for mark in context.memory.get("marks", []) if mark[0] > context.now - 2 * USERS_MS]
        since = max((mark[1] for mark in marks if mark[0] <= context.now - USERS_MS), default=None)
        since = since if since is not None else min((mark[1] for mark in marks), default=newest_message)
        users = connection.execute(
            select(func.count(distinct(MessageRow.sender_ref))).where(MessageRow.id > since)
        ).scalar_one()
        quarantined = connection.execute(
            select(func.count()).where(
                MessageRow.state == State.QUARANTINED.value, MessageRow.finished_at > context.now - QUARANTINE_MS
            )
        ).scalar_one()
    slots = [*context.memory.get("slots", []), [context.now, *slot]]
    slots = [one for one in slots if one[0] > context.now - WINDOW_MS][-_KEPT_RUNS:]
    began = min(int(context.memory.get("began", context.now)), context.now)
    minutes = min(WINDOW_MS, max(MINUTE_MS, context.now - began)) / MINUTE_MS
    received, finished, bad, answered, took = (sum(one[place] for one in slots) for place in range(1, 6))
    return Finding(
        True,
        readings={
            "error_rate": bad / max(finished, FEWEST),
            "response_time": took / answered if answered else None,
            "throughput": received / minutes,
            "active_users": float(users),
            "quarantined_messages": float(quarantined),
        },
        memory={
            "event": newest,
            "slots": slots,
            "began": began,
            "marks": [*marks, [context.now, newest_message]][-_KEPT_RUNS:],
        },
    )


def _count(connection: Connection, last: int, newest: int) -> list[Any]:
    """Received, finished, badly finished, answered, and how long the answered took together (ms)."""
    new = (EventRow.id > last) & (EventRow.id <= newest)
    received = connection.execute(
        select(func.count()).where(new, EventRow.step == "received", EventRow.took_ms == 0)
    ).scalar_one()
    ended = select(EventRow.message_id).where(new, EventRow.state.in_(_ENDS))
    rows = connection.execute(
        select(
            MessageRow.state, func.count(), func.coalesce(func.sum(MessageRow.finished_at - MessageRow.received_at), 0)
        )
        .where(MessageRow.id.in_(ended.scalar_subquery()), MessageRow.state != State.IGNORED.value)
        .group_by(MessageRow.state)
    ).all()
    counts: dict[str, int] = {row[0]: row[1] for row in rows}
    took = int(next((row[2] or 0 for row in rows if row[0] == State.REPLIED.value), 0))
    bad = sum(counts.get(state, 0) for state in _BAD)
    return [received, sum(counts.values()), bad, counts.get(State.REPLIED.value, 0), took]


def answerers(settings: Settings) -> list[str]:
    """As the fallback calls them."""
    return [f"workflow:{name}" for name in settings.workflows] + [f"provider:{name}" for name in settings.providers]


def answers(context: Context) -> Finding:
    """How well each provider and workflow answered lately, as all workers saw it."""
    seen = performance.seen(answerers(context.settings))
    calls = {name: one for name, one in seen.items() if one.calls >= FEWEST}
    return Finding(
        True,
        readings={
            "provider_success_rate": {name: one.success for name, one in calls.items()},
            "provider_response_time": {
                name: one.latency_s * 1000 for name, one in calls.items() if one.latency_s is not None
            },
        },
    )


def budgets(context: Context) -> Finding:
    """How much is used of today's budgets: of the installation and of each bot, by "platform:bot"."""
    with reading() as connection:
        found = overview(connection, context.settings, registry.enabled(context.settings))
    used = {
        "installation" if one.standing.scope == "installation" else f"{one.platform}:{one.bot}": one.standing.share
        for one in found
        if one.standing.scope != "user"
    }
    return Finding(True, readings={"budget_used": used})


def notifications(context: Context) -> Finding:
    """Whether alerts themselves arrive."""
    with reading() as connection:
        failed = outbox.failed_since(connection, since=context.now - 60 * MINUTE_MS)
        cost = connection.execute(
            select(func.sum(NotificationRow.cost)).where(NotificationRow.created_at > context.now - 24 * 60 * MINUTE_MS)
        ).scalar()
    return Finding(True, readings={"notifications_failed": float(failed), "notification_cost": float(cost or 0.0)})
