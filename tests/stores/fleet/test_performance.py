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
