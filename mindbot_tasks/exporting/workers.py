"""Celery's signal by which a worker begins to show its figures; celeryconfig.py imports it."""

from __future__ import annotations

from typing import Any

from celery import signals

from mindbot_tasks.exporting import listener, pushing


@signals.worker_ready.connect
def _begin(**_: Any) -> None:
    """In the main process, after its pool."""
    listener.begin()
    pushing.begin()
