"""The figures of the workflows as gauges, of today and yesterday; read from the tallies once in a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from mindbot_tasks import standing
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.standing import WORKFLOW, Standing

DAYS: Final = 2
#: the tally itself is taken every 30 s
CACHE_S: Final = 15.0

_SHARES: Final = (
    ("mindbot_workflow_success_ratio", "Share of its calls that a workflow answered.", "success"),
    ("mindbot_workflow_satisfaction", "Lower end of the share of content people, 95 %.", "satisfaction"),
    ("mindbot_workflow_recovery_ratio", "Share of its failures that another one answered.", "recovery"),
    ("mindbot_workflow_calls", "Calls of a workflow, today and yesterday.", "calls"),
    ("mindbot_workflow_skipped", "Calls that breaker or limit did not allow.", "skipped"),
)

_lock = threading.Lock()
_last: tuple[float, list[Standing]] = (float("-inf"), [])


def forget() -> None:
    """For tests."""
    global _last
    _last = (float("-inf"), [])


def gauges() -> Iterator[GaugeMetricFamily]:
    """Nothing while there are no workflows, or no database."""
    found = _standings()
    if not found:
        return
    for name, what, key in _SHARES:
        gauge = GaugeMetricFamily(name, what, labels=["workflow"])
        for one in found:
            value = getattr(one.figures, key)
            if value is not None:
                gauge.add_metric([_short(one)], float(value))
        yield gauge
    latency = GaugeMetricFamily(
        "mindbot_workflow_latency_seconds", "Time of the answers of a workflow.", labels=["workflow", "quantile"]
    )
    failed = GaugeMetricFamily(
        "mindbot_workflow_errors", "Calls of a workflow that failed, by kind.", labels=["workflow", "kind"]
    )
    demoted = GaugeMetricFamily(
        "mindbot_workflow_demoted", "1 while a workflow is asked last because it fails too often.", labels=["workflow"]
    )
    for one in found:
        for quantile, value in (("0.5", one.figures.p50_s), ("0.95", one.figures.p95_s)):
            if value is not None:
                latency.add_metric([_short(one), quantile], value)
        for kind, count in one.figures.errors.items():
            failed.add_metric([_short(one), kind], count)
        demoted.add_metric([_short(one)], float(one.demoted))
    yield from (latency, failed, demoted)


def _short(one: Standing) -> str:
    return one.figures.answerer.removeprefix(WORKFLOW)


def _standings() -> list[Standing]:
    global _last
    settings = get_settings()
    if not settings.workflows:
        return []
    with _lock:
        if time.monotonic() - _last[0] > CACHE_S:
            try:
                _last = (time.monotonic(), standing.of_answerers(settings, DAYS))
            except DatabaseUnavailable:
                return []
        return _last[1]
