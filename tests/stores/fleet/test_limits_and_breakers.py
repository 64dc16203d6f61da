"""Limits, pauses and breakers hold for the whole fleet, and each process keeps its own when Redis is down."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.stores import breaker, breaker_lua, limiter
from mindbot_tasks.stores.breaker import LocalBreakers
from mindbot_tasks.stores.leave import NO_LIMITS, Bucket, Leave, Limits
from mindbot_tasks.stores.limiter import LocalLimits, Rate
from tests.stores.fleet.processes import PATIENCE_S, in_processes

REAL_REDIS = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
START_US = 1_700_000_000_000_000
LIMITED = Limits((Bucket("x", Rate(1000, 10)),))
PROBE = Leave(probe=True)


@pytest.mark.parametrize(
    ("text", "interval_us", "burst"),
    [
        ("200/s", 5000, 200),
        ("600/m", 100_000, 60),
        ("1/s", 1_000_000, 1),
        ("0.5/s", 2_000_000, 1),
        (" 60 / h ", 6e7, 6),
    ],
)
def test_rates(text: str, interval_us: float, burst: int) -> None:
    assert Rate.parse(text) == Rate(interval_us, burst)


@pytest.mark.parametrize("text", ["", "5", "5/d", "-1/s", "0/s", "x/s"])
def test_unreadable_rates(text: str) -> None:
    with pytest.raises(SettingsError):
        Rate.parse(text)


@REAL_REDIS
@given(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=30), st.integers(1000, 1_000_000), st.integers(1, 5))
def test_redis_and_the_memory_of_a_process_follow_the_same_rule(
    timeless: Any,
    gaps: list[int],
    interval_us: int,
    burst: int,
) -> None:
    timeless.flushall()
    rate, memory, now = Rate(interval_us, burst), LocalLimits(), START_US
    started: list[int] = []
    for gap in gaps:
        now += gap
        wait_s = limiter.take("x", rate, at_us=now)
        assert wait_s == pytest.approx(memory.take("x", rate, now) / 1_000_000, abs=2e-6)
        if wait_s == 0:
            started.append(now)
        else:
            assert limiter.take("y", rate, at_us=now) >= 0
    for first in range(len(started)):  # never more than burst + what the time since then allows
        for last in range(first, len(started)):
            assert last - first + 1 <= burst + (started[last] - started[first]) / interval_us + 1e-6


def test_whoever_waits_as_told_may_go(shared: Any) -> None:
    rate = Rate.parse("5/s")
    waits = [limiter.take("x", rate) for _ in range(5)]
    assert waits == [0.0] * 5
    while (wait_s := limiter.take("x", rate)) == 0:
        pass  # on a machine that stalled there is room again meanwhile
    assert wait_s <= 0.2
    time.sleep(wait_s + 0.01)
    assert limiter.take("x", rate) == 0


def _take(url: str, gate: Any, results: Any, count: int) -> None:
    """So many starts, each when it may be; says when it looked for the first one and had the last."""
    client = redis.Redis.from_url(url, decode_responses=True)
    gate.wait(PATIENCE_S)
    began = time.monotonic()
    for _ in range(count):
        while (wait_s := limiter.take("fleet", Rate(20_000, 5), client=client)) > 0:
            time.sleep(wait_s)
    results.put((began, time.monotonic()))


def test_the_limit_is_the_fleets(shared: Any, redis_url: str) -> None:
    times = in_processes(_take, redis_url, 3, 20)
    took_s = max(end for _, end in times) - min(begin for begin, _ in times)
    assert 5 + took_s * 50 + 1 >= 3 * 20


def test_a_pause_stops_everybody_and_does_not_get_shorter(shared: Any) -> None:
    limiter.pause("x", 1000)
    limiter.pause("x", 100)
    assert 900 < limiter.take("x", "1000/s") <= 1000
    leave = breaker.ask("x")
    assert leave.reason == "pause"
    assert 900 < leave.wait_s <= 1000
    limiter.pause("y", 0.05)
    time.sleep(0.08)
    assert limiter.take("y", "1000/s") == 0


def test_one_round_trip_to_ask_and_none_for_a_success(shared: Any) -> None:
    breaker.ask("x", LIMITED)  # loads the script
    breaker.report("x", "ok")
    before = shared.info("commandstats")
    for _ in range(5):
        assert breaker.ask("x", LIMITED).reason == ""
        breaker.report("x", "ok")
    after = shared.info("commandstats")
    assert after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"] == 5
    assert after.get("cmdstat_eval") == before.get("cmdstat_eval")


def fail(times: int, name: str = "x", **when: Any) -> None:
    for _ in range(times):
        breaker.report(name, "bad", **when)


def test_it_opens_on_a_ratio_and_not_on_a_few_failures(shared: Any) -> None:
    fail(9, at_us=START_US)
    assert breaker.ask("x", at_us=START_US).reason == ""
    fail(1, at_us=START_US)
    leave = breaker.ask("x", at_us=START_US + 1_000_000)
    assert (leave.reason, leave.wait_s) == ("breaker", 14)
    for _ in range(30):
        breaker.report("y", "ok")
    breaker.ask("y", at_us=START_US)
    fail(29, "y", at_us=START_US)
    assert breaker.ask("y", at_us=START_US).reason == ""
    fail(1, "y", at_us=START_US)
    assert breaker.ask("y", at_us=START_US).reason == "breaker"


def test_by_the_clock_of_redis_it_opens_as_well(shared: Any) -> None:
    fail(10)
    leave = breaker.ask("x")
    assert leave.reason == "breaker"
    assert 0 < leave.wait_s <= 15


def test_old_failures_do_not_count(shared: Any) -> None:
    fail(9, at_us=START_US)
    fail(9, at_us=START_US + 31_000_000)
    assert breaker.ask("x", at_us=START_US + 31_000_000).reason == ""


def test_what_says_nothing_about_the_far_side_does_not_count(shared: Any) -> None:
    for _ in range(50):
        breaker.report("x", "none")
    assert breaker.ask("x").reason == ""


def test_one_probe_only_and_it_decides(shared: Any) -> None:
    fail(10, at_us=START_US)
    later = START_US + 15_000_001
    asked: list[breaker.Leave] = []

    def ask() -> None:
        asked.append(breaker.ask("x", at_us=later))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [leave.probe for leave in asked].count(True) == 1
    assert [leave.reason for leave in asked].count("breaker") == 19
    breaker.report("x", "bad", PROBE, at_us=later)
    assert breaker.ask("x", at_us=later).wait_s == pytest.approx(30, abs=0.01)
    again = later + 30_000_001
    assert breaker.ask("x", at_us=again).probe
    breaker.report("x", "none", PROBE, at_us=again)  # stopped: somebody else may try
    assert breaker.ask("x", at_us=again).probe
    breaker.report("x", "ok", PROBE, at_us=again)
    assert breaker.ask("x", at_us=again) == breaker.Leave()


def test_a_refused_ask_takes_nothing_from_the_limit(timeless: Any) -> None:
    rate = Limits((Bucket("x", Rate(60_000_000, 1)),))
    fail(10, at_us=START_US)
    assert breaker.ask("x", rate, at_us=START_US).reason == "breaker"
    assert breaker.ask("x", rate, at_us=START_US + 16_000_000).probe
    breaker.report("x", "ok", PROBE, at_us=START_US + 16_000_000)
    assert breaker.ask("x", rate, at_us=START_US + 17_000_000).reason == "limit"


_steps = st.lists(
    st.tuples(st.integers(0, 20_000_000), st.sampled_from(["ok", "bad", "none"]), st.integers(1, 6)), max_size=25
)


@REAL_REDIS
@given(_steps)
def test_redis_and_the_memory_of_a_process_open_alike(timeless: Any, steps: Any) -> None:
    timeless.flushall()
    breaker._successes.clear()
    memory, now = LocalBreakers(), START_US
    for gap, outcome, times in steps:
        now += gap
        for _ in range(times):
            there, here = breaker.ask("x", at_us=now), memory.ask("x", NO_LIMITS, now)
            assert (there.reason, there.probe) == (here.reason, here.probe)
            assert there.wait_s == pytest.approx(here.wait_s, abs=1e-5)
            if there.reason:
                continue
            breaker.report("x", outcome, there, at_us=now)
            memory.report("x", outcome, here, now)
        if breaker._successes.get("x"):  # the successes that would ride along with the next call, at their own time
            limiter.script(breaker_lua.ASK)(
                keys=("mindbot:breaker:x", "p", "t", "m", "b"), args=(now, breaker._successes.pop("x"), 0, "", 0)
            )


def test_without_redis_each_process_limits_itself(no_redis: None) -> None:
    assert limiter.take("x", "1/m") == 0
    assert limiter.take("x", "1/m") > 30
    limiter.pause("y", 100)
    assert limiter.take("y", "1/s") > 70
    assert breaker.ask("z").reason == ""
    fail(10, "z")
    assert breaker.ask("z").reason == "breaker"
