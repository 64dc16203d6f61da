"""Forgets what is older than the retention time, a little at a time."""

from __future__ import annotations

import time

import structlog

from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.stores import (
    alert_probes,
    conversations,
    facts,
    feedback,
    files,
    history,
    occurrences,
    retention,
    spending,
    summaries,
    tallies,
    workers,
)
from mindbot_tasks.stores.database import one_statement, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
BUDGET_S = 60.0
#: sums tell nothing about anybody, and the same month of last year is what one compares with
TALLY_DAYS = 400


@app.task(name="mindbot.purge", base=MindBotTask)
def purge() -> int:
    """Delete finished messages past their retention, oldest first; returns how many went.

    Never younger than the dedup window: a message that is forgotten could be answered twice.
    """
    settings = get_settings()
    days = max(settings.retention_days, settings.times.dedup_days)
    gone = 0
    ends_at = time.monotonic() + BUDGET_S
    try:
        with one_statement() as connection:
            if not workers.take_duty(connection, "purge", every_ms=HOUR_MS // 2):
                return 0
            workers.forget_gone(connection, older_than_ms=DAY_MS)
        while time.monotonic() < ends_at:
            with transaction() as connection:
                batch = retention.delete_finished(connection, older_than_ms=days * DAY_MS, limit=500)
            gone += batch
            if batch == 0:
                break
        while time.monotonic() < ends_at:
            with transaction() as connection:
                if occurrences.delete_old(connection, older_than_ms=days * DAY_MS, limit=500) == 0:
                    break
        _purge_what_hangs_on_nothing(days, ends_at)
        with one_statement() as connection:
            spending.forget_old(connection, days=settings.budgets.keep_days)
        with transaction() as connection:
            tallies.forget(connection, older_than_days=TALLY_DAYS)
        _purge_memories(settings, days, ends_at)
        _purge_the_silent(days, ends_at)
        _purge_files(ends_at)
        if settings.runs_agent:
            _purge_agent_files(settings)
        _purge_alerts(ends_at)
    except (DatabaseUnavailable, FarSideError) as exc:
        log.warning("purge_interrupted", reason=str(exc))
    if gone:
        log.info("purged", messages=gone, days=days)
    return gone


def _purge_what_hangs_on_nothing(days: int, ends_at: float) -> None:
    """Votes under answers that were no message of ours, and remote conversations that nobody goes on with."""
    for forget in (feedback.delete_old, conversations.forget_sessions):
        while time.monotonic() < ends_at:
            with transaction() as connection:
                if forget(connection, older_than_ms=days * DAY_MS, limit=500) == 0:
                    break


def _purge_the_silent(days: int, ends_at: float) -> None:
    """Once a day: conversations of which nothing is left, and people of whom nobody has heard for as long."""
    if time.monotonic() >= ends_at:
        return
    with one_statement() as connection:
        if not workers.take_duty(connection, "purge_silent", every_ms=DAY_MS):
            return
    gone = {"conversations": 0, "people": 0}
    for what, forget in (
        ("conversations", retention.delete_silent_conversations),
        ("people", retention.delete_silent_people),
    ):
        while time.monotonic() < ends_at:
            with transaction() as connection:
                batch = forget(connection, older_than_ms=days * DAY_MS, limit=200)
            gone[what] += batch
            if batch == 0:
                break
    if any(gone.values()):
        log.info("silent_purged", conversations=gone["conversations"], people=gone["people"])


def _purge_agent_files(settings: Settings) -> None:
    """The folders of the agent's conversations, as far as they are on this machine."""
    from mindbot_tasks.llm.agent.tools import files as folders

    if gone := folders.purge(settings):
        log.info("agent_files_purged", folders=gone)


def _purge_alerts(ends_at: float) -> None:
    """Alerts and results of probes past their own retention. Raises DatabaseUnavailable."""
    manager = get_settings().alert_manager
    if manager is None:
        return
    more = True
    while more and time.monotonic() < ends_at:
        with transaction() as connection:
            now = workers.database_time(connection)
            results = alert_probes.forget(
                connection,
                results_before=now - manager.probe_retention_days * DAY_MS,
                hours_before=now - (manager.anomaly_weeks + 1) * 7 * DAY_MS,
            )
            alerts = history.forget(connection, before=now - manager.retention_days * DAY_MS)
        more = bool(results or alerts)


def _purge_memories(settings: Settings, days: int, ends_at: float) -> None:
    """Summaries go with the messages they are of, facts after a time of their own."""
    while time.monotonic() < ends_at:
        with one_statement() as connection:
            if summaries.delete_old(connection, older_than_ms=days * DAY_MS, limit=500) == 0:
                break
    while settings.context.facts_days and time.monotonic() < ends_at:
        with one_statement() as connection:
            if facts.delete_old(connection, older_than_ms=settings.context.facts_days * DAY_MS, limit=500) == 0:
                break


def _purge_files(ends_at: float) -> None:
    """Files past their time or without their message; once a day also bytes that a crash left behind.

    Raises DatabaseUnavailable or FarSideError; what is left is taken next time.
    """
    gone = 0
    while time.monotonic() < ends_at and (batch := files.delete_expired(limit=200)):
        gone += batch
    with one_statement() as connection:
        sweep = workers.take_duty(connection, "sweep_files", every_ms=DAY_MS)
    orphans = files.sweep_orphans() if sweep else 0
    if gone or orphans:
        log.info("files_purged", files=gone, orphans=orphans)
