"""Included into a worker by `celery worker -I tests.chaos.no_sweeper`: nobody sweeps, so the checker must fail."""

from __future__ import annotations

from mindbot_tasks import sweep as stage


def _leave_it() -> int:
    return 0


# both beat's task and the fallback of a worker that finds beat missing go through `run`
stage.sweep.run = _leave_it  # type: ignore[method-assign]
