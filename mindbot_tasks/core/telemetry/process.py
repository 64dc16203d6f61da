"""Whether this process traces messages, and what makes its spans: begun once, and anew after a fork."""

from __future__ import annotations

import atexit
import importlib.util
import os
from dataclasses import dataclass
from typing import Any

import structlog

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.settings.telemetry import TelemetrySettings

log = structlog.get_logger(__name__)

#: seconds for what is left when a process stops
FLUSH_S = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """That traces are wanted, and how."""

    settings: TelemetrySettings
    secret: str  #: of the installation
    role: str


_wanted: Wanted | None = None
_recorder: Any = None  #: exporting.Recorder


def start(settings: Settings, role: str, processor: Any = None) -> bool:
    """Trace messages in this process, and in those that it forks, if that is configured; returns whether.

    role: by which the process is known where MINDBOT_ROLE does not say. processor: where spans go, if not to the
    collector.
    """
    global _wanted
    if settings.telemetry is None or not settings.telemetry.on:
        return False
    role = os.environ.get("MINDBOT_ROLE") or role
    _wanted = Wanted(settings.telemetry, settings.secret_key.get_secret_value(), role)
    return _begin(processor) is not None


def stop(within_s: float = FLUSH_S) -> None:
    """Export what is left; from now on nothing is traced."""
    global _recorder, _wanted
    recorder, _recorder, _wanted = _recorder, None, None
    if recorder is not None and not recorder.stop(within_s):
        log.warning("last_traces_lost")


def is_on() -> bool:
    """Whether this process traces messages."""
    return _wanted is not None


def is_installed() -> bool:
    """Whether the extra `telemetry` is there."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ImportError:
        return False


def wanted() -> Wanted | None:
    """None: nobody wants traces."""
    return _wanted


def recorder() -> Any:
    """What makes spans in this process (exporting.Recorder); None when nobody wants any."""
    return _recorder if _recorder is not None or _wanted is None else _begin()


def _begin(processor: Any = None) -> Any:
    global _recorder, _wanted
    wanted = _wanted
    if wanted is None:
        return None
    try:
        from mindbot_tasks.core.telemetry import exporting

        made = exporting.Recorder(wanted.settings, wanted.role, processor or exporting.over_http(wanted.settings))
    except ImportError as exc:
        log.error("traces_off", reason=f"{exc.name} is missing", advice="pip install 'mindbot[telemetry]'")
        _wanted = None  # nobody asks again
        return None
    _recorder = made
    return made


def _after_fork() -> None:
    global _recorder
    _recorder = None  # its thread is not here


atexit.register(stop)
os.register_at_fork(after_in_child=_after_fork)
