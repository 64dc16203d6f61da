"""Escalation: steps of alerts that are due become notifications in the outbox."""

from __future__ import annotations

import time

import structlog
from kombu.exceptions import OperationalError

from mindbot_tasks.alerting.escalating import escalate_one, surroundings
from mindbot_tasks.alerting.registry import services
from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores import alerts, workers
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

BUDGET_S = 20.0


@app.task(name="mindbot.escalate", base=MindBotTask)
def escalate() -> int:
    """Take every step that is due; returns how many notifications that made. However many run at once, each step is
    taken by one of them."""
    settings = get_settings()
    manager = settings.alert_manager
    if manager is None or not manager.enabled:
        return 0
    told = 0
    ends_at = time.monotonic() + BUDGET_S
    try:
        while time.monotonic() < ends_at:
            with reading() as connection:
                now = workers.database_time(connection)
                due = alerts.due(connection, now=now)
                if not due:
                    break
                around = surroundings(
                    connection,
                    manager,
                    services(manager),
                    public_url=settings.web.public_url,
                    secret=settings.secret_key.get_secret_value(),
                    now=now,
                )
            for row in due:
                with transaction() as connection:
                    told += escalate_one(connection, row, around, now=workers.database_time(connection))
    except DatabaseUnavailable as exc:
        log.warning("escalation_interrupted", reason=str(exc))
    # also without news: a notice that somebody takes care of it, or that it is over, may wait
    try:
        app.send_task("mindbot.notify", queue="alerts", expires=30)
    except (OperationalError, OSError) as exc:
        log.warning("notifications_wait_for_beat", reason=type(exc).__name__)
    return told
