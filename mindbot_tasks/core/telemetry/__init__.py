"""Traces: one for each message, from the door to the reply, across processes. Off unless configured, and then free.

Nothing here imports OpenTelemetry before `start` has found that traces are wanted. Spans hold ids, names, numbers and
kinds of errors; never words of people, never a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.telemetry.door import Arrival, arrival, arriving, received
from mindbot_tasks.core.telemetry.identity import CARRIED, trace_of
from mindbot_tasks.core.telemetry.process import is_installed, is_on, start, stop
from mindbot_tasks.core.telemetry.spans import Attributes, Key, Span, span
from mindbot_tasks.core.telemetry.stages import Stage, claimed, stage


def trace_id_of(settings: Settings, message: Key, address: Mapping[str, Any]) -> str:
    """Under which id the trace of a message is found; "" when it is not traced."""
    if settings.telemetry is None or not settings.telemetry.on:
        return ""
    found = trace_of(settings.telemetry, settings.secret_key.get_secret_value(), message, address)
    return found.hex if found.sampled else ""


__all__ = [
    "CARRIED",
    "Arrival",
    "Attributes",
    "Key",
    "Span",
    "Stage",
    "arrival",
    "arriving",
    "claimed",
    "is_installed",
    "is_on",
    "received",
    "span",
    "stage",
    "start",
    "stop",
    "trace_id_of",
]
