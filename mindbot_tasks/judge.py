"""The judge: rules look at what the probes found; alerts open and close."""

from __future__ import annotations

import contextlib

import redis
import structlog
from kombu.exceptions import OperationalError

from mindbot_tasks.alerting import remedies
from mindbot_tasks.alerting.judging import judge_all
from mindbot_tasks.alerting.probes.messages import answerers
from mindbot_tasks.alerting.registry import services
from mindbot_tasks.alerting.remedies import Remedy
from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.metrics import ALERTS
from mindbot_tasks.core.settings import AlertManagerSettings, get_settings
from mindbot_tasks.stores import workers
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

EVERY_MS = 5_000
HOLD_EVERY_MS = 10_000


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
            judged = judge_all(connection, manager, services(manager), now=now)
    except DatabaseUnavailable as exc:
        log.warning("judge_skipped", reason=str(exc))
        return 0
    for alert_id, change, rule in judged.changes:
        ALERTS.labels(rule.name, rule.severity, change).inc()
        log.warning("alert_changed", alert=alert_id, rule=rule.name, severity=str(rule.severity), change=change)
    for alert_id in judged.resolved:
        log.info("alert_resolved", alert=alert_id)
    for remedy in judged.remedies:
        _carry_out(remedy)
    for remedy in judged.undone:
        _take_back(remedy)
    try:
        _hold(manager)
    except DatabaseUnavailable as exc:
        log.warning("drained_queues_not_held", reason=str(exc))
    if judged.changes or judged.resolved or judged.told:
        try:  # at once; else the next slot of beat does it
            app.send_task("mindbot.escalate", queue="alerts", expires=30)
        except (OperationalError, OSError) as exc:
            log.warning("escalation_waits_for_beat", reason=type(exc).__name__)
    return len(judged.changes) + len(judged.resolved)


def _carry_out(remedy: Remedy) -> None:
    """Do what a rule asks for; the history has the intent already, and gets what became of it."""
    log.warning("remedy", **remedies.as_record(remedy))
    try:
        done = remedies.without_celery(remedy, answerers(get_settings()))
        if done is None:
            done = _by_celery(remedy)
    except (OperationalError, OSError, redis.RedisError, DatabaseUnavailable) as exc:
        log.warning("remedy_failed", reason=type(exc).__name__, **remedies.as_record(remedy))
        _note(remedy, remedies.FAILED, type(exc).__name__)
        return
    _note(remedy, remedies.DONE if done else remedies.FAILED, ", ".join(done) or "there is no such thing")


def _by_celery(remedy: Remedy) -> list[str]:
    """Returns the workers that were told."""
    if remedy.action == "drain":
        # those that are deaf just now hear it a little later, see `_hold`
        app.control.cancel_consumer(remedy.target)
        return _serving(remedy.target)
    # a warm shutdown: whoever started the workers starts them again
    names = [name for name in _workers() if name.partition("@")[0] == remedy.target]
    if names:
        app.control.shutdown(destination=names)
    return names


def _take_back(remedy: Remedy) -> None:
    """The queue that was drained is served again, by the workers that serve it by their start."""
    log.warning("remedy_taken_back", **remedies.as_record(remedy))
    try:
        if names := _serving(remedy.target):
            app.control.add_consumer(remedy.target, destination=names)
    except (OperationalError, OSError, DatabaseUnavailable) as exc:
        log.warning("remedy_not_taken_back", reason=type(exc).__name__, **remedies.as_record(remedy))
        return
    _note(remedy, remedies.TAKEN_BACK, ", ".join(names))


def _hold(manager: AlertManagerSettings) -> None:
    """Drained queues stay drained when workers are started again, and are given back by whoever comes next."""
    if not any(rule.remedy and rule.remedy.action == "drain" for rule in manager.rules.values()):
        return
    with one_statement() as connection:
        if not workers.take_duty(connection, "hold drained queues", every_ms=HOLD_EVERY_MS):
            return
    with reading() as connection:
        held, left = remedies.drains(connection, now=workers.database_time(connection))
    for queue in {remedy.target for remedy in held}:
        with contextlib.suppress(OperationalError, OSError):  # the next time, then
            app.control.cancel_consumer(queue)
    for remedy in left:
        _take_back(remedy)


def _note(remedy: Remedy, kind: str, text: str) -> None:
    try:
        with transaction() as connection:
            remedies.note(connection, remedy, kind, now=workers.database_time(connection), text=text)
    except DatabaseUnavailable as exc:
        log.warning("remedy_not_noted", reason=str(exc), **remedies.as_record(remedy))


def _serving(queue: str) -> list[str]:
    """The workers that answer and serve this queue by their start; the row of NAME@host is worker_NAME@host."""
    with reading() as connection:
        rows = [name for name, queues in workers.serving(connection) if queue in queues]
    return [name for name in _workers() if any(row.startswith(f"worker_{name.partition('@')[0]}@") for row in rows)]


def _workers() -> list[str]:
    """The names of all workers that answer."""
    return [name for answer in app.control.ping(timeout=1.0) or () for name in answer]
