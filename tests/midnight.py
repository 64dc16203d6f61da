"""Midnight stays out of a test: what is spent during it counts for the day on which it began."""

from __future__ import annotations

import time

import pytest

from mindbot_tasks.stores import spending


@pytest.fixture
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what is added up per day."""
    day_of, began = spending.today, time.time()
    monkeypatch.setattr(spending, "today", lambda now=None: day_of(began if now is None else min(now, began)))
