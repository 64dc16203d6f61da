"""What the holders of connections say, and how long it counts."""

from __future__ import annotations

import time
from typing import Any

import pytest

from mindbot_tasks.stores import connections


@pytest.fixture(autouse=True)
def _said_lately_is_within_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is slow between two lines is no holder that fell silent."""
    monkeypatch.setattr(connections, "LIVES_MS", 600_000)


def test_what_is_said_can_be_read_by_everybody(shared: Any) -> None:
    assert connections.publish("aim", "default", "online", "as mindbot", last_frame_s=1500, client=shared)
    assert connections.publish("dingtalk", "sales", "backing_off", "again in 8 s", client=shared)
    first, second = connections.read_all(client=shared) or []
    assert (first.platform, first.bot, first.state, first.detail) == ("aim", "default", "online", "as mindbot")
    assert first.last_frame_s == pytest.approx(1500, abs=100)
    assert first.holder == connections.this_process()
    assert (second.platform, second.state, second.last_frame_s) == ("dingtalk", "backing_off", None)


def test_a_state_that_is_repeated_keeps_its_age_and_a_new_one_starts_at_zero(shared: Any) -> None:
    began_at = time.monotonic()
    connections.publish("aim", "default", "online", client=shared)
    time.sleep(0.15)
    connections.publish("aim", "default", "online", "two contacts", client=shared)
    [kept] = connections.read_all(client=shared) or []
    assert 0.1 <= kept.since_s <= time.monotonic() - began_at + 0.02
    changed_at = time.monotonic()
    connections.publish("aim", "default", "backing_off", client=shared)
    [changed] = connections.read_all(client=shared) or []
    assert changed.since_s <= time.monotonic() - changed_at + 0.02


def test_a_holder_that_fell_silent_reads_as_no_data(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connections.publish("aim", "default", "online", client=shared)
    assert connections.read_all(client=shared)
    monkeypatch.setattr(connections, "LIVES_MS", 100)
    connections.publish("aim", "default", "online", client=shared)
    time.sleep(0.15)
    assert connections.read_all(client=shared) == []


def test_of_several_holders_the_best_counts(shared: Any) -> None:
    connections.publish("dingtalk", "default", "refused", holder="a", client=shared)
    connections.publish("dingtalk", "default", "online", holder="b", client=shared)
    connections.publish("dingtalk", "default", "stopped", holder="c", client=shared)
    found = connections.read_all(client=shared) or []
    best = connections.best_of(found, "dingtalk", "default")
    assert best is not None
    assert best.holder == "b"
    assert connections.best_of(found, "dingtalk", "other") is None


@pytest.mark.usefixtures("no_redis")
def test_without_redis_nothing_is_known_and_nothing_raises() -> None:
    from mindbot_tasks.stores import limiter

    gone = limiter.get_redis()
    assert connections.publish("aim", "default", "online", client=gone) is False
    assert connections.read_all(client=gone) is None


def test_a_reporter_says_changes_at_once_and_a_last_word(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "get_redis", lambda: shared)
    said: list[tuple[str, str]] = []
    ages: list[float | None] = []

    def publish(_platform: str, _bot: str, state: str, detail: str, *, last_frame_s: float | None) -> bool:
        said.append((state, detail))
        ages.append(last_frame_s)
        return True

    reporter = connections.Reporter("aim", "default", publish=publish)
    reporter.heard()
    reporter.say("online", "1 of 1")
    ends_at = time.monotonic() + 30
    while ("online", "1 of 1") not in said and time.monotonic() < ends_at:
        time.sleep(0.01)
    reporter.close(timeout_s=60)
    assert said[-2:] == [("online", "1 of 1"), ("stopped", "")]
    assert ages[-1] is not None


def test_who_holds_a_connection_is_asked_once_to_begin_anew(shared: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "get_redis", lambda: shared)
    monkeypatch.setattr(connections, "REPEAT_S", 0.01)
    begun: list[bool] = []
    reporter = connections.Reporter(
        "dingtalk", "sales", publish=lambda *_, **__: True, on_reopen=lambda: begun.append(True)
    )
    connections.ask_to_reopen("dingtalk", "other")
    connections.ask_to_reopen("dingtalk", "sales")
    ends_at = time.monotonic() + 30
    while not begun and time.monotonic() < ends_at:
        time.sleep(0.01)
    time.sleep(0.05)
    reporter.close(timeout_s=60)
    assert begun == [True]
