"""Probes: asks for those that are due, and runs them in small batches; a batch is a short task that expires."""

from __future__ import annotations

import contextlib
import functools
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from kombu.exceptions import OperationalError

from mindbot_tasks.alerting.probes.catalogue import KINDS, plans
from mindbot_tasks.alerting.probes.context import Context, found, timed
from mindbot_tasks.app import app
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, Unavailable
from mindbot_tasks.core.metrics import PROBE_RUNS
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores import alert_probes, workers
from mindbot_tasks.stores.alert_probes import Finding
from mindbot_tasks.stores.database import one_statement, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

EVERY_MS = 5_000
EXPIRES_S = 20
#: one task runs so many probes, so many at the same time, and no more than two tasks are on their way: servers that
#: hang must not keep rules from being judged and people from being told, which the same workers do
BATCH = 16
AT_ONCE = 8
MOST_BATCHES = 2
#: a batch that has not come back by then is lost
LOST_MS = 60_000
#: of the interval: probes of one minute must not all run in the same second
_JITTER = 0.1


@app.task(name="mindbot.probe", base=MindBotTask)
def probe(*names: str) -> int:
    """Run those probes of these names that are due; without names ask for all that are. Returns how many."""
    try:
        return _run_all(names) if names else _ask()
    except DatabaseUnavailable as exc:
        log.warning("probes_skipped", probes=list(names), reason=str(exc))  # the watchdog looks at the database itself
        return 0


def _run_all(names: Sequence[str]) -> int:
    with ThreadPoolExecutor(min(AT_ONCE, len(names)), thread_name_prefix="probe") as crowd:
        return sum(crowd.map(run, names))


def _ask() -> int:
    with one_statement() as connection:
        if not workers.take_duty(connection, "probe", every_ms=EVERY_MS - 500):
            return 0
    know_configured()
    with transaction() as connection:
        now = workers.database_time(connection)
        names = alert_probes.ask(connection, now=now, expires_ms=LOST_MS, limit=BATCH * MOST_BATCHES)
    for place in range(0, len(names), BATCH):
        try:
            app.send_task("mindbot.probe", args=tuple(names[place : place + BATCH]), queue="alerts", expires=EXPIRES_S)
        except (OperationalError, OSError) as exc:
            log.warning("probes_not_asked_for", reason=type(exc).__name__)
            break
    return len(names)


@functools.cache  # once in the life of a process: what it runs with does not change
def know_configured() -> None:
    """Write down which probes the configuration has."""
    wanted = plans(get_settings())
    with transaction() as connection:
        alert_probes.synchronise(connection, wanted, now=workers.database_time(connection))


@functools.cache
def _intervals() -> dict[str, int]:
    return {plan.name: plan.interval_ms for plan in plans(get_settings())}


def run(name: str) -> bool:
    """One run, if it is due; False: somebody else was quicker. Raises DatabaseUnavailable."""
    with one_statement() as connection:
        now = workers.database_time(connection)
        interval_ms = _intervals().get(name)
        if interval_ms is None:  # it is another configuration's
            return False
        jitter_ms = random.randint(0, int(interval_ms * _JITTER))  # noqa: S311
        row = alert_probes.take(connection, name, now=now, jitter_ms=jitter_ms)
    if row is None:
        return False
    finding = _look(Context(get_settings(), row, Deadline(row["timeout_ms"] / 1000), now))
    PROBE_RUNS.labels(row["kind"], "ok" if finding.ok else "failed").inc()
    with transaction() as connection:
        now = workers.database_time(connection)
        changed = alert_probes.record(connection, row, finding, now=now)
    if changed:
        log.warning("probe_changed", probe=name, ok=finding.ok, error=finding.error)
    return True


def _look(context: Context) -> Finding:
    kind = context.row["kind"]
    started = time.monotonic()
    try:
        return _broker(context) if kind == "broker" else KINDS[kind](context)
    except DatabaseUnavailable:
        raise
    except Exception as exc:
        # a probe with a bug says nothing of what it looks at, and must not take the others along
        log.exception("probe_crashed", probe=context.row["name"])
        return Finding(False, int((time.monotonic() - started) * 1000), f"crashed: {type(exc).__name__}")


def _broker(_context: Context) -> Finding:
    """Whether the broker answers, and how many tasks wait in each queue."""
    depths: dict[str, float] = {}

    def ask() -> None:
        try:
            with app.connection_for_write(connect_timeout=2) as connection:
                connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
                for queue in app.amqp.queues.values():
                    depths[queue.name] = _depth(connection, queue)
        except _errors() as exc:
            raise Unavailable(type(exc).__name__, kind="connection") from None

    call = timed(ask)
    took = call.took_ms if call.ok else None
    return found(call, {"broker_up": float(call.ok), "queue_depth": depths, "broker_response_time": took})


def _depth(connection: Any, queue: Any) -> float:
    """How many tasks wait; of a queue that does not exist yet none do. On a channel of its own: a no closes it."""
    channel = connection.channel()
    try:
        return float(queue.bind(channel).queue_declare(passive=True).message_count)
    except connection.channel_errors:
        return 0.0
    finally:
        with contextlib.suppress(*connection.connection_errors, *connection.channel_errors):
            channel.close()


def _errors() -> tuple[type[Exception], ...]:
    """What this broker's library raises when it is away, or knows no such queue yet."""
    connection: Any = app.connection_for_write()
    return (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors)
