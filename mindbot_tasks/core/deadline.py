"""How long a piece of work may still take; thread workers ignore Celery's time limits, so our own code looks here."""

from __future__ import annotations

import time
from collections.abc import Callable

from mindbot_tasks.core.errors import DeadlineExceeded


def _go_on() -> None:
    """The default `stop_check`: nobody asked to stop."""


class Deadline:
    """A point in (monotonic) time, and a way to be told to stop before it.

    `stop_check` is called by `check` and raises Draining or Cancelled when the work must end.
    """

    __slots__ = ("_ends", "_stop_check")

    def __init__(self, total_s: float, *, stop_check: Callable[[], None] = _go_on) -> None:
        self._ends = time.monotonic() + total_s
        self._stop_check = stop_check

    def remaining_s(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self._ends - time.monotonic())

    def check(self) -> None:
        """Return while there is time and nobody asked to stop. Raises DeadlineExceeded or a Stopped."""
        self._stop_check()
        if self.remaining_s() <= 0:
            raise DeadlineExceeded("no time left", kind="timeout")

    def within(self, total_s: float) -> Deadline:
        """A deadline for a part of the work: at most `total_s`, and never later than this one."""
        return Deadline(min(total_s, self.remaining_s()), stop_check=self._stop_check)
