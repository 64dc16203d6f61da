"""What the fleet saw of its answerers, shared through Redis."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mindbot_tasks.stores import performance
from mindbot_tasks.stores.performance import SLOT_S, SLOTS, Performance, Seen

NOW_US = 1_700_000_000_000_000


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performance, "READ_EVERY_S", 0.0)


def test_what_one_process_saw_another_one_knows(shared: Any) -> None:
    one, other = Performance(), Performance()
    one.note("provider:a", ok=True, seconds=1.5)
    one.note("provider:a", ok=False, seconds=30)
    other.note("provider:a", ok=True, seconds=0.5)
    one.seen(["provider:b"], client=shared)  # hands over what it has, whatever it asks for
    found = other.seen(["provider:a", "provider:b"], client=shared)
    assert found["provider:a"] == Seen(3, 2, 2000)
    assert found["provider:a"].latency_s == 1.0
    assert found["provider:b"] == Seen()
    assert found["provider:b"].success == 1.0


def test_nothing_is_counted_twice(shared: Any) -> None:
    one = Performance()
    one.note("provider:a", ok=True, seconds=1)
    for _ in range(3):
        assert one.seen(["provider:a"], client=shared)["provider:a"].calls == 1


def test_what_is_old_is_forgotten(shared: Any) -> None:
    one = Performance()
    one.note("provider:a", ok=False, seconds=1)
    one.seen(["provider:a"], client=shared, at_us=NOW_US)
    later_us = NOW_US + (SLOTS - 1) * SLOT_S * 1_000_000
    one.note("provider:a", ok=True, seconds=1)
    assert one.seen(["provider:a"], client=shared, at_us=later_us)["provider:a"].calls == 2
    gone_us = later_us + SLOT_S * 1_000_000
    assert one.seen(["provider:a"], client=shared, at_us=gone_us)["provider:a"] == Seen(1, 1, 1000)
    assert shared.hlen("mindbot:seen:provider:a") == 3


def test_without_redis_a_process_knows_what_it_saw_and_tells_it_later(no_redis: None, shared: Any) -> None:
    one = Performance()
    one.note("provider:a", ok=True, seconds=2)
    import redis

    nobody: Any = redis.Redis.from_url("unix:///nonexistent/redis.sock", retry=None)
    assert one.seen(["provider:a"], client=nobody)["provider:a"] == Seen(1, 1, 2000)
    assert one.seen(["provider:a"], client=shared)["provider:a"] == Seen(1, 1, 2000)


def test_many_threads_lose_no_call(shared: Any) -> None:
    processes = [Performance() for _ in range(4)]

    def work(process: Performance) -> None:
        for number in range(200):
            process.note("provider:a", ok=number % 4 != 0, seconds=0.01)
            if number % 10 == 0:
                process.seen(["provider:a"], client=shared)

    threads = [threading.Thread(target=work, args=(process,)) for process in processes for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in processes:
        process.seen(["provider:a"], client=shared)
    assert processes[0].seen(["provider:a"], client=shared)["provider:a"] == Seen(1600, 1200, 12_000)


def test_who_fails_too_often_is_sick_until_it_answers_five_times_in_a_row(shared: Any) -> None:
    one, other = Performance(), Performance()

    def call(*outcomes: bool) -> bool:
        for ok in outcomes:
            one.note("workflow:a", ok=ok, seconds=1)
        one.seen(["workflow:a"], threshold=0.8, client=shared)
        return other.seen(["workflow:a"], threshold=0.8, client=shared)["workflow:a"].sick

    assert not call(*[False] * 9), "too few to judge"
    assert call(False)
    assert call(*[True] * 4), "not yet"
    assert call(False), "and from the start again"
    assert call(*[True] * 4)
    assert not call(True)
    assert not call(*[True] * 8, False), "what was before is forgotten"


def test_nobody_is_judged_without_a_threshold(shared: Any) -> None:
    one = Performance()
    for _ in range(20):
        one.note("provider:a", ok=False, seconds=1)
    assert not one.seen(["provider:a"], client=shared)["provider:a"].sick


def test_a_sick_one_that_nobody_calls_is_forgotten(shared: Any) -> None:
    one = Performance()
    for _ in range(10):
        one.note("workflow:a", ok=False, seconds=1)
    assert one.seen(["workflow:a"], threshold=0.5, client=shared)["workflow:a"].sick
    assert 0 < shared.pttl("mindbot:seen:workflow:a") <= (SLOTS + 1) * SLOT_S * 1000
