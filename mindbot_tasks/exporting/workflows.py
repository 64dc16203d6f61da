"""The figures of the workflows as gauges, of today and yesterday."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from mindbot_tasks import standing
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.exporting import catalogue
from mindbot_tasks.standing import WORKFLOW, Standing

DAYS: Final = 2


def of_workflows(settings: Settings) -> Iterator[GaugeMetricFamily]:
    """Nothing while there are no workflows. Raises DatabaseUnavailable."""
    if not settings.workflows:
        return
    found = standing.of_answerers(settings, DAYS)
    for key, gauge in catalogue.WORKFLOW_SHARES:
        yield gauge.of(((_short(one),), getattr(one.figures, key)) for one in found)
    yield catalogue.WORKFLOW_LATENCY.of(
        ((_short(one), quantile), value)
        for one in found
        for quantile, value in (("0.5", one.figures.p50_s), ("0.95", one.figures.p95_s))
    )
    yield catalogue.WORKFLOW_ERRORS.of(
        ((_short(one), kind), count) for one in found for kind, count in one.figures.errors.items()
    )
    yield catalogue.WORKFLOW_DEMOTED.of(((_short(one),), one.demoted) for one in found)


def _short(one: Standing) -> str:
    return one.figures.answerer.removeprefix(WORKFLOW)
