"""Watching an answer grow: in steps, in order, and without harm when nobody can be told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.model.message import State
from mindbot_tasks.stores import live
from mindbot_tasks.stores.redis import get_redis
from tests.conftest import PATIENCE_S
from tests.slack import at_most


@pytest.fixture
def client(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        monkeypatch.setattr(live, "get_redis", lambda: client)
        yield client


class Watcher:
    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._pubsub: Any = client.pubsub()  # type: ignore[no-untyped-call]
        self._pubsub.subscribe(live.channel(7))
        assert self._next()["type"] == "subscribe"

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] | None = self._pubsub.get_message(timeout=PATIENCE_S)
        assert message is not None
        return message

    def heard(self) -> list[dict[str, str]]:
        """All that was told until now: nothing overtakes a last word."""
        self._client.publish(live.channel(7), "that is all")
        return [json.loads(data) for data in iter(lambda: self._next()["data"], "that is all")]

    def close(self) -> None:
        self._pubsub.close()


@pytest.fixture
def watcher(client: redis.Redis) -> Iterator[Watcher]:
    watcher = Watcher(client)
    yield watcher
    watcher.close()


def test_the_first_words_are_told_at_once(watcher: Watcher) -> None:
    live.LiveText(7)("Hel")
    assert watcher.heard() == [{"type": "text", "text": "Hel"}]


def test_many_small_steps_become_few(watcher: Watcher) -> None:
    tell = live.LiveText(7, every_s=60)
    for number in range(100):
        tell("x" * (number + 1))
    assert len(watcher.heard()) == 1, "all within the time"


def test_a_step_is_told_after_enough_calls_and_enough_time(watcher: Watcher) -> None:
    tell = live.LiveText(7, every_calls=4, every_s=0.1)
    tell("a")
    time.sleep(0.12)
    for text in ("ab", "abc", "abcd"):
        tell(text)
    assert [event["text"] for event in watcher.heard()] == ["a"], "enough time, but too few calls"
    tell("abcde")
    tell("abcdef")
    assert [event["text"] for event in watcher.heard()] == ["abcde"]


def test_states_are_told_to_those_who_can_watch_only(watcher: Watcher) -> None:
    live.tell_state("dingtalk", 7, State.ANSWERED)
    live.tell_state("chat", 7, State.REPLIED)
    assert watcher.heard() == [{"type": "state", "state": "replied"}]


def test_without_redis_nobody_is_told_and_nothing_breaks_or_waits(
    closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(redis_url=SecretStr(f"redis://127.0.0.1:{closed_port}/0"))
    monkeypatch.setattr("mindbot_tasks.stores.redis.get_settings", lambda: settings)
    get_redis.cache_clear()
    try:
        began = time.monotonic()
        live.LiveText(7)("Hello")
        live.tell_state("chat", 7, State.REPLIED)
        assert time.monotonic() - began < at_most(1)
    finally:
        get_redis.cache_clear()
