"""What is counted and timed, and how the numbers of all processes of this machine come together at /metrics.

Set PROMETHEUS_MULTIPROC_DIR (a directory, empty at every start of the whole) before the first import, and any web
process shows the sums of all processes. Without it each process shows only its own.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

_QUICK: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2.5, 5)
_SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)

#: kind: the workflow that the message was classified for; "" where that is not known yet
MESSAGES = Counter("mindbot_messages", "Messages that reached a state.", ["platform", "state", "kind"])
STAGE_SECONDS = Histogram("mindbot_stage_seconds", "Time of one stage.", ["stage", "outcome"], buckets=_SLOW)
ANSWER_SECONDS = Histogram(
    "mindbot_answer_seconds", "Time of one try to answer.", ["answerer", "outcome"], buckets=_SLOW
)
FIRST_TOKEN_SECONDS = Histogram("mindbot_first_token_seconds", "Time to the first token.", ["answerer"], buckets=_SLOW)
DIFY_ERRORS = Counter("mindbot_dify_errors", "Failures of Dify apps by Dify's code, or by kind.", ["answerer", "code"])
TOOL_SECONDS = Histogram(
    "mindbot_tool_seconds", "Time of one call of a tool of the agent.", ["tool", "outcome"], buckets=_SLOW
)
RETRIES = Counter("mindbot_retries", "Stages that will be tried again, by kind of error.", ["stage", "kind"])
OCCURRENCES = Counter("mindbot_occurrences", "What happened on a platform and is no message.", ["platform", "kind"])
FEED_PAGES = Counter("mindbot_feed_pages", "Pages read from what a platform only announces.", ["platform"])
SENDS = Counter("mindbot_sends", "Pieces handed to a platform.", ["platform", "outcome"])
SUMMARIES = Counter("mindbot_summaries", "Summaries of conversations, by what came of them.", ["outcome"])
ANSWER_FINDINGS = Counter("mindbot_answer_findings", "What was noticed about answers, and done to them.", ["finding"])
LIMIT_REFUSALS = Counter("mindbot_limit_refusals", "Work put off by a fleet-wide limit.", ["limit"])
KEYS_SET_ASIDE = Counter("mindbot_api_keys_set_aside", "API keys that rest for a while.", ["answerer", "reason"])
PROVIDER_CALLS = Counter(
    "mindbot_provider_calls",
    "Calls of models, answers or not.",
    ["provider", "model", "workflow", "purpose", "outcome"],
)
TOKENS = Counter("mindbot_tokens", "Tokens, as the providers counted them.", ["provider", "model", "direction"])
COST = Counter("mindbot_cost", "What calls of models cost, in the currency of the prices.", ["provider", "model"])
RETRIED_CALLS = Counter("mindbot_retried_calls", "Calls that were a retry within the retry budget.", ["answerer"])
BUDGET_USED = Gauge(
    "mindbot_budget_used_ratio",
    "Share of today's budget; 1: all.",
    ["scope", "bot"],
    multiprocess_mode="livemostrecent",
)
BUDGET_LIMITED = Counter("mindbot_budget_limited", "Messages that met a budget.", ["scope", "level"])
WEBHOOKS = Counter("mindbot_webhooks", "Webhook calls by HTTP status.", ["platform", "status"])
BRIDGE_FRAMES = Counter(
    "mindbot_bridge_frames", "What came over connections that MindBot holds.", ["platform", "kind", "outcome"]
)
BRIDGE_CONNECTS = Counter(
    "mindbot_bridge_connects", "Tries to connect, and why the connection before ended.", ["platform", "outcome"]
)
ALERTS = Counter("mindbot_alerts", "Alerts that opened, came back or grew.", ["rule", "severity", "change"])
NOTIFICATIONS = Counter(
    "mindbot_notifications", "Notifications of alerts by what became of them.", ["channel", "notifier", "outcome"]
)
ESCALATIONS = Counter("mindbot_escalations", "Levels of alerts that were told.", ["severity", "level"])
PROBE_RUNS = Counter("mindbot_probe_runs", "Runs of probes.", ["kind", "outcome"])
WATCHDOG_NOTICES = Counter("mindbot_watchdog_notices", "What the watchdog sent by itself.", ["notifier", "outcome"])
KNOWLEDGE_SECONDS = Histogram(
    "mindbot_knowledge_query_seconds", "Time of one search in what was read.", ["mode", "outcome"], buckets=_QUICK
)
WEBHOOK_SECONDS = Histogram("mindbot_webhook_seconds", "Time of a webhook call.", ["platform"], buckets=_QUICK)


def families() -> list[Metric]:
    """Everything counted so far."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not directory:
        return list(REGISTRY.collect())  # with what the library knows of this process
    fold_in_dead_processes(Path(directory))
    try:
        return _sum_of(directory)
    except FileNotFoundError:  # another process folded a file away while we were reading
        return _sum_of(directory)


def _sum_of(directory: str) -> list[Metric]:
    return list(MultiProcessCollector(CollectorRegistry(), directory).collect())  # type: ignore[no-untyped-call]


def render() -> bytes:
    """Everything counted so far in the text format of Prometheus."""
    return as_text(families())


def as_text(given: Iterable[Metric]) -> bytes:
    """Families in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(given))
    return generate_latest(registry)


class _Given(Collector):
    def __init__(self, given: Iterable[Metric]) -> None:
        self._families = given

    def collect(self) -> Iterable[Metric]:
        return self._families


def fold_in_dead_processes(directory: Path) -> None:
    """Forget the gauges of processes that are gone, and add their counters to one file.

    Every process that ever lived leaves its files behind; unfolded, a fleet that restarts often makes /metrics slower
    for ever.
    """
    dead = [path for path in directory.glob("*.db") if (pid := _pid_of(path)) and not _is_alive(pid)]
    if not dead:
        return
    with (directory / "fold.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # another web process is at it
        for kind in ("counter", "histogram"):
            parts = [path for path in dead if path.name.startswith(kind) and path.exists()]
            if parts:
                _fold(directory / f"{kind}_0.db", parts)
        for path in dead:
            path.unlink(missing_ok=True)


def _fold(total: Path, parts: list[Path]) -> None:
    """Add the values of `parts` to those in `total`, which is replaced in one step."""
    sums: dict[str, float] = defaultdict(float)
    for path in [total, *parts]:
        if path.exists():
            for key, value in _values_of(path):
                sums[key] += value
    fresh = total.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    book = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]
    for key, value in sums.items():
        book.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    book.close()  # type: ignore[no-untyped-call]
    fresh.replace(total)


def _values_of(path: Path) -> list[tuple[str, float]]:
    """Keys (padded with blanks in the file) and values; none where a kill left a file half written."""
    try:
        values = MmapedDict.read_all_values_from_file(str(path))  # type: ignore[no-untyped-call]
        return [(key.rstrip(" "), value) for key, value, _at, _position in values]
    except (RuntimeError, ValueError, struct.error) as exc:
        log.warning("metrics_file_unreadable", file=path.name, error=type(exc).__name__)
        return []


def _pid_of(path: Path) -> int | None:
    """The process a file belongs to: `counter_123.db`, `gauge_livemostrecent_123.db`. None for the folded sums."""
    number = path.stem.rsplit("_", 1)[-1]
    return int(number) or None if number.isdigit() else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
