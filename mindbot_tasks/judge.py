"""The judge: rules look at what the probes found; alerts open and close."""

from __future__ import annotations

import structlog
from kombu.exceptions import OperationalError

from mindbot_tasks.alerting.judging import judge_all
from mindbot_tasks.alerting.registry import get_notifiers, services_of
from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.metrics import ALERTS
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores import workers
from mindbot_tasks.stores.database import one_statement, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

EVERY_MS = 5_000


@app.task(name="mindbot.judge", base=MindBotTask)
def judge(asked_by: str = "") -> int:
    """One pass over all rules, once in a slot of five seconds; returns how many alerts opened or closed.

    `asked_by`: beat says who it is, so that the watchdog sees whether it lives.
    """
    manager = get_settings().alert_manager
    if manager is None or not manager.enabled:
        return 0
    try:
        with one_statement() as connection:
            if asked_by:
                workers.take_duty(connection, asked_by, every_ms=0)
            if not workers.take_duty(connection, "judge", every_ms=EVERY_MS - 500):
                return 0
        with transaction() as connection:
            now = workers.database_time(connection)
            judged = judge_all(connection, manager, services_of(get_notifiers()), now=now)
    except DatabaseUnavailable as exc:
        log.warning("judge_skipped", reason=str(exc))
        return 0
    for alert_id, change, rule in judged.changes:
        ALERTS.labels(rule.name, rule.severity, change).inc()
        log.warning("alert_changed", alert=alert_id, rule=rule.name, severity=str(rule.severity), change=change)
    for alert_id in judged.resolved:
        log.info("alert_resolved", alert=alert_id)
    if judged.changes or judged.resolved:
        try:  # at once; else the next slot of beat does it
            app.send_task("mindbot.escalate", queue="alerts", expires=30)
        except (OperationalError, OSError) as exc:
            log.warning("escalation_waits_for_beat", reason=type(exc).__name__)
    return len(judged.changes) + len(judged.resolved)
