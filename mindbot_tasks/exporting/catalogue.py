"""Every gauge that is read when somebody asks for the figures: name, meaning, labels. The counters are in core.metrics.

What the documentation, the dashboard and the rules speak of is checked against this.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from mindbot_tasks.core.alert_metrics import METRICS, Metric, Unit


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge; its samples are made anew for each page."""

    name: str
    about: str
    labels: tuple[str, ...] = ()

    def of(self, samples: Iterable[tuple[Sequence[str], float | int | bool | None]]) -> GaugeMetricFamily:
        """The family; a value of None is left out."""
        family = GaugeMetricFamily(self.name, self.about, labels=self.labels)
        for labels, value in samples:
            if value is not None:
                family.add_metric(labels, float(value))
        return family

    def one(self, value: float | int | bool | None) -> GaugeMetricFamily:
        """The family of a gauge without labels."""
        return self.of([((), value)])


_BOT: Final = ("platform", "bot")

# what the ledger knows
READY: Final = Gauge("mindbot_ready", "1 when a message can go all the way.")
CANARY_AGE: Final = Gauge("mindbot_queue_canary_age_seconds", "Since a task last came through.", ("queue",))
DEPTH: Final = Gauge("mindbot_queue_depth", "Tasks that wait in a queue of the broker (Redis).", ("queue",))
QUEUE_WORKERS: Final = Gauge("mindbot_queue_workers", "Living worker processes that serve a queue.", ("queue",))
UNFINISHED: Final = Gauge("mindbot_unfinished_messages", "Messages on their way, by state.", ("state",))
OLDEST_UNFINISHED: Final = Gauge(
    "mindbot_oldest_unfinished_seconds", "Age of the oldest message on its way, by state.", ("state",)
)
OLDEST_UNSTARTED: Final = Gauge(
    "mindbot_oldest_unstarted_seconds", "How long the oldest message waits that could be started and was not."
)
WORKERS: Final = Gauge("mindbot_workers", "Living worker processes.")
SWEEP_AGE: Final = Gauge("mindbot_sweep_age_seconds", "Since the last sweep.")

# bots
PLATFORM_OK: Final = Gauge("mindbot_platform_ok", "1 unless this bot has a trouble of its own.", _BOT)
PLATFORM_CONNECTED: Final = Gauge(
    "mindbot_platform_connected", "1 while the connection of a bot that needs one is there.", _BOT
)
PLATFORM_AGES: Final = (
    ("last_inbound_s", Gauge("mindbot_platform_last_inbound_seconds", "Since this bot last heard something.", _BOT)),
    ("last_outbound_s", Gauge("mindbot_platform_last_outbound_seconds", "Since this bot last said something.", _BOT)),
    ("last_frame_s", Gauge("mindbot_platform_last_frame_seconds", "Since its connection last brought anything.", _BOT)),
    ("token_left_s", Gauge("mindbot_platform_token_seconds", "How long its access token is still good.", _BOT)),
)

# models
BREAKER_OPEN: Final = Gauge(
    "mindbot_breaker_open", "1 while this answerer is left alone, or has yet to prove that it is well.", ("answerer",)
)
BREAKER_LEFT: Final = Gauge(
    "mindbot_breaker_probe_in_seconds", "Until an open breaker lets one call through; 0: now.", ("answerer",)
)
SPENT_TODAY: Final = Gauge(
    "mindbot_spent_today", "Cost of calls of models since midnight, in the currency of the prices.",
    ("provider", "model"),
)  # fmt: skip
CALLS_TODAY: Final = Gauge("mindbot_calls_today", "Calls of models since midnight.", ("provider", "model"))
TOKENS_TODAY: Final = Gauge(
    "mindbot_tokens_today", "Tokens since midnight, as the providers counted them.", ("provider", "model", "direction")
)

# workflows, today and yesterday
WORKFLOW_SHARES: Final = (
    ("success", Gauge("mindbot_workflow_success_ratio", "Share of its calls that a workflow answered.", ("workflow",))),
    (
        "satisfaction",
        Gauge("mindbot_workflow_satisfaction", "Lower end of the share of content people, 95 %.", ("workflow",)),
    ),
    (
        "recovery",
        Gauge("mindbot_workflow_recovery_ratio", "Share of its failures that another one answered.", ("workflow",)),
    ),
    ("calls", Gauge("mindbot_workflow_calls", "Calls of a workflow, today and yesterday.", ("workflow",))),
    ("skipped", Gauge("mindbot_workflow_skipped", "Calls that breaker or limit did not allow.", ("workflow",))),
)
WORKFLOW_LATENCY: Final = Gauge(
    "mindbot_workflow_latency_seconds", "Time of the answers of a workflow.", ("workflow", "quantile")
)
WORKFLOW_ERRORS: Final = Gauge(
    "mindbot_workflow_errors", "Calls of a workflow that failed, by kind.", ("workflow", "kind")
)
WORKFLOW_DEMOTED: Final = Gauge(
    "mindbot_workflow_demoted", "1 while a workflow is asked last because it fails too often.", ("workflow",)
)

# the knowledge base
KNOWLEDGE_OK: Final = Gauge("mindbot_knowledge_ok", "1 unless what was read has a trouble; only where configured.")
DOCUMENTS: Final = Gauge("mindbot_knowledge_documents", "Documents of a knowledge base, by state.", ("base", "state"))
CHUNKS: Final = Gauge("mindbot_knowledge_chunks", "Pieces of documents that can be found.", ("base",))
CHUNKS_EMBEDDED: Final = Gauge("mindbot_knowledge_chunks_embedded", "Pieces that have their vector.", ("base",))

# alerts
ALERTS_OPEN: Final = Gauge("mindbot_alerts_open", "Alerts that are not resolved.", ("severity", "state"))
NOTIFICATIONS_WAITING: Final = Gauge("mindbot_notifications_waiting", "Notifications that are to be sent or asked for.")
NOTIFICATIONS_AGE: Final = Gauge("mindbot_notifications_overdue_seconds", "How long the most overdue of them waits.")
PROBE_OK: Final = Gauge("mindbot_probe_ok", "1 when the last run of a probe found all well.", ("probe", "kind"))
PROBE_TOOK: Final = Gauge("mindbot_probe_duration_seconds", "Time of the last run of a probe.", ("probe", "kind"))
PROBE_AGE: Final = Gauge("mindbot_probe_age_seconds", "Since a probe last ran.", ("probe", "kind"))
WATCHDOG_AGE: Final = Gauge("mindbot_watchdog_age_seconds", "Since the watchdog of this machine last looked.")
WATCHDOG_TROUBLES: Final = Gauge(
    "mindbot_watchdog_trouble_seconds", "How long the watchdog of this machine has found a part unwell.", ("part",)
)

# this machine
PROCESSES: Final = Gauge("mindbot_processes", "Processes on this machine, by role.", ("role",))
MEMORY: Final = Gauge("mindbot_process_resident_memory_bytes", "Memory of the processes of a role.", ("role",))
BUILD: Final = Gauge("mindbot_build_info", "1, with the version that runs.", ("version",))

_SUFFIX: Final[dict[Unit, str]] = {
    "ratio": "_ratio", "ms": "_seconds", "s": "_seconds", "bytes": "_bytes", "per_minute": "_per_minute",
    "count": "", "flag": "", "text": "",
}  # fmt: skip


def _reading(metric: Metric) -> Gauge:
    name = f"mindbot_reading_{metric.name}{_SUFFIX[metric.unit]}"
    about = f"{metric.english}; 1: connected." if metric.unit == "text" else f"{metric.english}."
    return Gauge(name, about, (metric.about.split()[0],) if metric.about else ())


#: what the rules of alerts see, by the name that rules use
READINGS: Final = {metric.name: _reading(metric) for metric in METRICS.values()}


def every() -> list[Gauge]:
    """All of them, by name."""
    found: list[Gauge] = list(READINGS.values())
    for value in globals().values():
        if isinstance(value, Gauge):
            found.append(value)
        elif isinstance(value, tuple):
            found += [gauge for _, gauge in value if isinstance(gauge, Gauge)] if _pairs(value) else []
    return sorted(found, key=lambda gauge: gauge.name)


def _pairs(value: tuple[object, ...]) -> bool:
    return bool(value) and all(isinstance(each, tuple) and len(each) == 2 for each in value)


def scale(metric: str) -> float:
    """What a value that rules see is multiplied with: Prometheus wants seconds."""
    return 0.001 if METRICS[metric].unit == "ms" else 1.0
