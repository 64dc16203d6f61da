"""The emulators of the vendors, a Redis for every test, and its clock for those that count in windows of time."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from mindbot_tasks.stores import breaker, limiter, performance
from tests.emulated import (
    anthropic,
    anthropic_process,
    coze,
    coze_process,
    dify,
    dify_process,
    gemini,
    gemini_process,
    logs,
    ollama,
    ollama_process,
    openai,
    openai_process,
)
from tests.stores.fleet.redis_fixtures import no_redis, redis_url, shared

__all__ = [
    "anthropic", "anthropic_process", "coze", "coze_process", "dify", "dify_process", "gemini", "gemini_process",
    "logs", "no_redis", "ollama", "ollama_process", "openai", "openai_process", "redis_url", "shared",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _a_redis_of_our_own(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose breakers and figures are those of the test alone, and never in the Redis of whoever runs it."""
    seen = performance.Performance()
    monkeypatch.setattr(performance, "note", seen.note)
    monkeypatch.setattr(performance, "seen", seen.seen)


class Clock:
    """The clock by which breakers and limits count; it stands still until a test moves it."""

    now_us = 1_700_000_000_000_000

    def move(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)


@pytest.fixture
def clock(shared: Any, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """No window ends, no bucket fills and no breaker half-opens unless the test says so."""
    clock = Clock()

    def given(call: Any) -> Any:
        @functools.wraps(call)
        def by_this_clock(*args: Any, **options: Any) -> Any:
            return call(*args, **{"at_us": clock.now_us, **options})

        return by_this_clock

    for module, name in ((breaker, "ask"), (breaker, "report"), (limiter, "take")):
        monkeypatch.setattr(module, name, given(getattr(module, name)))
    for module in (breaker, limiter):
        monkeypatch.setattr(module, "monotonic_us", lambda: clock.now_us)
    return clock
