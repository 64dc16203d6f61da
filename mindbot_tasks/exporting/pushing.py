"""Pushes the figures every so often, from exactly one process of each machine.

Every process that works begins a thread here if a target is configured. Those whose counters come together in one
directory (PROMETHEUS_MULTIPROC_DIR) agree by a lock on a file in it: one pushes the sums of all, the others look again
at the next interval, and one of them goes on when the first is gone, however it went. What the fleet has in common is
pushed by whoever is first in each interval, by a row of the database.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

import structlog
from prometheus_client.metrics_core import Metric

from mindbot_tasks.core import metrics
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import MetricsSettings, get_settings
from mindbot_tasks.exporting import page, targets
from mindbot_tasks.exporting.election import Election
from mindbot_tasks.exporting.targets import Tags, Target
from mindbot_tasks.stores import workers
from mindbot_tasks.stores.database import one_statement

log = structlog.get_logger(__name__)

DUTY = "push_metrics"


def push(settings: MetricsSettings, wanted: Sequence[Target]) -> None:
    """One push of everything that is this process's turn. Never raises for a database that is away."""
    own: list[Metric] = [*metrics.families(), *page.of_machine()]
    figures: list[tuple[Sequence[Metric], Tags]] = [(own, targets.own_tags())]
    if _is_our_turn(settings.interval):
        figures.append((page.of_fleet(), {}))
    at_ms = time.time_ns() // 1_000_000
    for target in wanted:
        target.take(figures, at_ms)


def _is_our_turn(interval_s: float) -> bool:
    try:
        with one_statement() as connection:
            return workers.take_duty(connection, DUTY, every_ms=int(interval_s * 900))
    except DatabaseUnavailable:
        return False


def run(settings: MetricsSettings, stop: threading.Event) -> None:
    """Push until told to stop."""
    election = Election(os.environ.get("PROMETHEUS_MULTIPROC_DIR", ""))
    wanted = targets.of(settings)
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        due = max(due + settings.interval, time.monotonic())
        try:
            if election.won():
                push(settings, wanted)
        except Exception:  # a bug here must not end the figures for good
            log.exception("metrics_push_failed", target="")


def begin() -> None:
    """Begin to push from this process, if anything is configured; once its pool has been started."""
    settings = get_settings().metrics
    if settings.pushed:
        threading.Thread(target=run, args=(settings, threading.Event()), name="metrics", daemon=True).start()
