"""Notifications: what the outbox holds goes to people."""

from __future__ import annotations

import structlog
from kombu.exceptions import OperationalError

from mindbot_tasks.alerting.delivering import Post, deliver
from mindbot_tasks.alerting.registry import addresses, get_notifiers
from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.metrics import NOTIFICATIONS
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores import outbox, workers
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

_MOST_PASSES = 5


@app.task(name="mindbot.notify", base=MindBotTask)
def notify() -> int:
    """Send what is due; returns how much went out. However many run at once, each row is sent by one of them."""
    manager = get_settings().alert_manager
    if manager is None or not manager.enabled:
        return 0
    post = Post(manager, get_notifiers(), transaction, workers.database_time, people=addresses(manager))
    sent = 0
    try:
        for _ in range(_MOST_PASSES):
            with reading() as connection:
                if not outbox.due(connection, now=workers.database_time(connection), limit=1):
                    break
            done = deliver(post)
            sent += done.sent
            for outcome in ("sent", "failed", "held", "suppressed"):
                NOTIFICATIONS.labels(outcome).inc(getattr(done, outcome))
            if done.escalate:  # somebody cannot be reached: the next level is due now
                app.send_task("mindbot.escalate", queue="alerts", expires=30)
            if not (done.sent or done.failed):
                break
    except DatabaseUnavailable as exc:
        log.warning("notifications_interrupted", reason=str(exc))
    except (OperationalError, OSError) as exc:
        log.warning("escalation_waits_for_beat", reason=type(exc).__name__)
    return sent
