"""Whether this process is stopping. Thread workers ignore Celery's own limits, so the work itself must look here."""

from __future__ import annotations

import time

from mindbot_tasks.core.errors import Draining

_stop_by: float | None = None


def begin(drain_s: float) -> None:
    """From now on no new work is begun, and running work gives up after `drain_s` seconds."""
    global _stop_by
    if _stop_by is None:
        _stop_by = time.monotonic() + drain_s


def stopping() -> bool:
    """True once `begin` was called."""
    return _stop_by is not None


def check() -> None:
    """Raises Draining when running work must give up."""
    if _stop_by is not None and time.monotonic() >= _stop_by:
        raise Draining("this process is stopping")


def forget() -> None:
    """Back to running; for tests and freshly forked children."""
    global _stop_by
    _stop_by = None
