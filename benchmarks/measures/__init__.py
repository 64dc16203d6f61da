"""The measurements, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.figures import Bench, Measured
from benchmarks.measures import (
    calls,
    classification,
    growth,
    kinds,
    knowledge,
    message,
    start,
    statements,
    throughput,
    webhook,
)

ALL: Mapping[str, Callable[[Bench], Measured]] = {
    "start": start.measure,
    "classification": classification.measure,
    "webhook": webhook.measure,
    "message": message.measure,
    "statements": statements.measure,
    "throughput": throughput.measure,
    "calls": calls.measure,
    "kinds": kinds.measure,
    "growth": growth.measure,
    "knowledge": knowledge.measure,
}
