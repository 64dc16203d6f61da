"""What the database has recorded, as gauges: spending, knowledge, alerts and probes. Five small statements at most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import Connection

from mindbot_tasks.core.alert_metrics import CONNECTED
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.exporting import catalogue
from mindbot_tasks.model.alert import AlertState, Severity
from mindbot_tasks.stores import alert_probes, report

#: a probe that has not run for so many intervals says nothing about now
_STALE_INTERVALS = 3
_STALE_MORE_MS = 15_000


def of_database(connection: Connection, settings: Settings) -> Iterator[GaugeMetricFamily]:
    """Parts that are not configured are left out. Raises DatabaseUnavailable."""
    if settings.providers or settings.workflows:
        yield from _spending(connection)
    yield from _knowledge(connection)  # documents may also be there where no section is
    if settings.alert_manager is not None and settings.alert_manager.enabled:
        yield from _alerts(connection)


def _spending(connection: Connection) -> Iterator[GaugeMetricFamily]:
    rows = report.spent_today(connection)
    yield catalogue.SPENT_TODAY.of(((row.provider, row.model), row.cost) for row in rows)
    yield catalogue.CALLS_TODAY.of(((row.provider, row.model), row.calls) for row in rows)
    yield catalogue.TOKENS_TODAY.of(
        ((row.provider, row.model, direction), count)
        for row in rows
        for direction, count in (("in", row.input_tokens), ("out", row.output_tokens))
    )


def _knowledge(connection: Connection) -> Iterator[GaugeMetricFamily]:
    rows = report.documents(connection)
    yield catalogue.DOCUMENTS.of(((row.base, row.state), row.documents) for row in rows)
    bases = sorted({row.base for row in rows})
    for gauge, key in ((catalogue.CHUNKS, "chunks"), (catalogue.CHUNKS_EMBEDDED, "embedded")):
        yield gauge.of(((base,), sum(getattr(row, key) for row in rows if row.base == base)) for base in bases)


def _alerts(connection: Connection) -> Iterator[GaugeMetricFamily]:
    opened = report.open_alerts(connection)
    yield catalogue.ALERTS_OPEN.of(
        ((severity, state), opened.get((severity, state), 0))
        for severity in Severity
        for state in (AlertState.FIRING, AlertState.ACKNOWLEDGED)
    )
    waiting, overdue_ms, now = report.waiting_notifications(connection)
    yield catalogue.NOTIFICATIONS_WAITING.one(waiting)
    yield catalogue.NOTIFICATIONS_AGE.one(max(0, overdue_ms) / 1000)
    probes = alert_probes.every(connection)
    ran = [row for row in probes if row["ran_at"] is not None]
    yield catalogue.PROBE_OK.of(((row["name"], row["kind"]), row["ok"]) for row in ran)
    yield catalogue.PROBE_TOOK.of(((row["name"], row["kind"]), (row["took_ms"] or 0) / 1000) for row in ran)
    yield catalogue.PROBE_AGE.of(((row["name"], row["kind"]), max(0, now - row["ran_at"]) / 1000) for row in ran)
    yield from _readings([row for row in ran if not _is_stale(row, now=now)])


def _is_stale(row: Mapping[str, Any], *, now: int) -> bool:
    return bool(now - row["ran_at"] > _STALE_INTERVALS * row["interval_ms"] + row["timeout_ms"] + _STALE_MORE_MS)


def _readings(probes: Sequence[Mapping[str, Any]]) -> Iterator[GaugeMetricFamily]:
    """What rules can speak of, in the units of Prometheus; those that plugins bring are theirs to export."""
    values: dict[str, dict[str, float]] = {}
    for row in probes:
        for metric, subject, value in alert_probes.flat(row["subject"], row["readings"] or {}):
            known = catalogue.READINGS.get(metric)
            if known is not None:
                number = float(value == CONNECTED) if isinstance(value, str) else float(value)
                values.setdefault(metric, {})[subject] = number * catalogue.scale(metric)
    for metric, of in values.items():
        gauge = catalogue.READINGS[metric]
        if gauge.labels:
            yield gauge.of(((subject,), value) for subject, value in of.items())
        else:
            yield gauge.one(next(iter(of.values())))
