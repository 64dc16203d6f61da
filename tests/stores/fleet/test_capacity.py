"""Places, tokens, retries and probes of answerers are shared by the whole fleet, and outlive the processes in it."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindbot_tasks.stores import breaker, breaker_lua, limiter
from mindbot_tasks.stores.breaker import LocalBreakers
from mindbot_tasks.stores.leave import MARK_MS, RETRY_FLOOR, Bucket, Leave, Limits
from mindbot_tasks.stores.limiter import Rate
from tests.stores.fleet.processes import PATIENCE_S, in_processes

REAL_REDIS = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
START_US = 1_700_000_000_000_000
TOKENS = Bucket("tokens:x", Rate.per_minute(60_000), "tokens")


# calls at the same time


def _hold(url: str, gate: Any, results: Any) -> None:
    client = redis.Redis.from_url(url, decode_responses=True)
    limits, held, highest = Limits(at_once=3), [], 0
    gate.wait(PATIENCE_S)
    for _ in range(60):
        leave = breaker.ask("x", limits, client=client)
        if not leave.reason:
            held.append(leave)
            # who is under way, by a counter that everybody shares
            highest = max(highest, client.incr("under-way"))
            time.sleep(0.002)
            client.decr("under-way")
            breaker.report("x", "ok", held.pop(), client=client)
    results.put(highest)


def test_never_more_calls_than_places_in_all_processes(shared: Any, redis_url: str) -> None:
    highest = in_processes(_hold, redis_url, 4)
    assert 1 <= max(highest) <= 3
    assert shared.zcard("mindbot:places:x") == 0


def _take_and_die(url: str, gate: Any, results: Any) -> None:
    client = redis.Redis.from_url(url, decode_responses=True)
    leave = breaker.ask("x", Limits(at_once=2), lease_s=60, client=client, at_us=START_US)
    results.put(leave.reason)
    results.close()
    results.join_thread()
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_place_of_a_killed_process_is_free_when_its_lease_ends(shared: Any, redis_url: str) -> None:
    assert in_processes(_take_and_die, redis_url, 2) == ["", ""]
    assert breaker.ask("x", Limits(at_once=2), at_us=START_US + 59_000_000).reason == "busy"
    assert breaker.ask("x", Limits(at_once=2), at_us=START_US + 61_000_000).reason == ""


# tokens


def test_tokens_are_one_bucket_for_all_and_corrections_count(timeless: Any) -> None:
    limits = Limits((TOKENS,))
    leave = breaker.ask("x", limits, tokens=6_000, at_us=START_US)
    refused = breaker.ask("x", limits, tokens=1_000, at_us=START_US)
    assert (refused.reason, refused.wait_s) == ("tokens", pytest.approx(1.0))
    breaker.report("x", "ok", leave, used_tokens=2_000, at_us=START_US)
    leave = breaker.ask("x", limits, tokens=1_000, at_us=START_US)
    assert leave.reason == ""
    breaker.report("x", "ok", leave, used_tokens=31_000, at_us=START_US)
    assert breaker.ask("x", limits, tokens=1_000, at_us=START_US).wait_s == pytest.approx(28.0)


def test_a_call_larger_than_the_bucket_goes_when_it_is_full_and_the_next_one_waits(timeless: Any) -> None:
    limits = Limits((TOKENS,))
    assert breaker.ask("x", limits, tokens=20_000, at_us=START_US).reason == ""
    assert breaker.ask("x", limits, tokens=1, at_us=START_US).wait_s == pytest.approx(14.0, abs=0.01)


def test_a_refusal_by_one_bucket_takes_nothing_from_the_others(timeless: Any) -> None:
    limits = Limits((Bucket("x", Rate.per_minute(100)), TOKENS, Bucket("x/m", Rate.per_minute(1))), at_once=5)
    assert breaker.ask("x", limits, tokens=100, at_us=START_US).reason == ""
    before = {name: timeless.get(f"mindbot:limit:{name}") for name in ("x", "tokens:x", "x/m")}
    assert breaker.ask("x", limits, tokens=100, at_us=START_US).reason == "limit"
    assert {name: timeless.get(f"mindbot:limit:{name}") for name in before} == before
    assert timeless.zcard("mindbot:places:x") == 1


# retries


def _try_often(url: str, gate: Any, results: Any, messages: int) -> None:
    """Every message fails; each is tried three times, with others between."""
    client = redis.Redis.from_url(url, decode_responses=True)
    first = again = 0
    own = os.getpid() * 1000
    gate.wait(PATIENCE_S)
    for _ in range(3):
        for number in range(messages):
            # at one and the same moment: in each slot of the clock a few retries more would be allowed
            leave = breaker.ask("x", message_id=own + number, client=client, at_us=START_US)
            if not leave.reason:
                first, again = first + (not leave.again), again + leave.again
                # an error that is not about health: the breaker would end this too soon
                breaker.report("x", "none", leave, failed_message=own + number, client=client, at_us=START_US)
    results.put((first, again))


def test_retries_stay_below_a_fifth_of_the_first_tries_in_all_processes(shared: Any, redis_url: str) -> None:
    found = in_processes(_try_often, redis_url, 3, 50)
    first, again = (sum(numbers) for numbers in zip(*found, strict=True))
    assert first == 150
    assert RETRY_FLOOR < again <= 0.2 * first


def test_a_few_retries_are_always_allowed_and_more_after_a_while(shared: Any) -> None:
    def retry(at_us: int) -> Leave:
        return breaker.ask("x", message_id=7, at_us=at_us)

    assert not retry(START_US).again
    breaker.report("x", "none", Leave(), failed_message=7, at_us=START_US)
    assert [retry(START_US).again for _ in range(RETRY_FLOOR)] == [True] * RETRY_FLOOR
    refused = retry(START_US)
    assert refused.reason == "retries"
    assert 0 < refused.wait_s <= 10
    assert breaker.ask("x", message_id=8, at_us=START_US).reason == "", "another message is no retry"
    assert breaker.ask("y", message_id=7, at_us=START_US).reason == "", "nor is the same one elsewhere"
    assert [retry(START_US + 10_000_000).reason for _ in range(RETRY_FLOOR + 1)] == [""] * RETRY_FLOOR + ["retries"]


@pytest.mark.parametrize(("bad", "waiting"), [(0, 0), (2, 0), (3, 7)])
def test_all_that_have_waited_may_come_when_it_is_well_again(shared: Any, bad: int, waiting: int) -> None:
    for number in range(10):
        breaker.report("x", "none", Leave(), failed_message=1 + number, at_us=START_US)
    for _ in range(18):
        breaker.report("x", "ok", breaker.ask("x", at_us=START_US))
    for _ in range(bad):
        breaker.report("x", "bad", Leave(), at_us=START_US)
    breaker.ask("x", at_us=START_US)  # hands the successes over
    shared.delete("mindbot:tries:x")  # it was long ago that messages came for the first time
    reasons = [breaker.ask("x", message_id=1 + number, at_us=START_US).reason for number in range(10)]
    assert reasons.count("retries") == waiting


# probes


def _probe(url: str, gate: Any, results: Any, rounds: int) -> None:
    client = redis.Redis.from_url(url, decode_responses=True)
    probes = []
    for number in range(rounds):
        gate.wait(PATIENCE_S)
        # each round is a minute after the one before, by a clock that all share
        leave = breaker.ask("x", client=client, at_us=START_US + (number + 1) * 130_000_000)
        probes.append(leave.probe)
        gate.wait(PATIENCE_S)
        if leave.probe:
            breaker.report("x", "bad", leave, client=client, at_us=START_US + (number + 1) * 130_000_000)
        assert leave.probe or leave.reason == "breaker"
    results.put(probes)


def test_one_probe_at_a_time_in_all_processes(shared: Any, redis_url: str) -> None:
    for _ in range(10):
        breaker.report("x", "bad", at_us=START_US)
    rounds = in_processes(_probe, redis_url, 6, 8)
    assert [sum(each) for each in zip(*rounds, strict=True)] == [1] * 8


# with and without Redis


_events = st.lists(
    st.tuples(
        st.integers(0, 15_000_000),
        st.sampled_from(["ask", "ok", "bad", "fail"]),
        st.integers(1, 4),
        st.integers(0, 9_000),
    ),
    max_size=30,
)


@REAL_REDIS
@given(_events, st.integers(0, 3))
def test_redis_and_the_memory_of_a_process_follow_the_same_rules(timeless: Any, events: Any, at_once: int) -> None:
    timeless.flushall()
    breaker._successes.clear()
    memory, now = LocalBreakers(), START_US
    limits = Limits((Bucket("x", Rate(400_000, 6)), TOKENS), at_once)
    under_way: list[tuple[Leave, Leave, int]] = []
    for gap, what, message_id, tokens in events:
        now += gap
        if what == "ask" or not under_way:
            there = breaker.ask("x", limits, tokens=tokens, message_id=message_id, lease_s=20, at_us=now)
            here = memory.ask(
                "x", limits, now, tokens=tokens, message_id=message_id, lease=there.lease or "-", lease_us=20_000_000
            )
            assert (there.reason, there.probe, there.again) == (here.reason, here.probe, here.again)
            assert there.wait_s == pytest.approx(here.wait_s, abs=1e-5)
            if not there.reason:
                under_way.append((there, here, message_id))
            continue
        there, here, message_id = under_way.pop(0)
        outcome: Any = "bad" if what == "fail" else what
        failed = message_id if what == "fail" else 0
        breaker.report("x", outcome, there, used_tokens=tokens, failed_message=failed, at_us=now)
        memory.report("x", outcome, here, now, more_tokens=tokens - here.tokens, message_id=failed, mark=failed > 0)
        if breaker._successes.pop("x", 0):  # one that would ride along with the next call
            limiter.script(breaker_lua.REPORT)(keys=("mindbot:breaker:x", "p", "m", "b"), args=(now, "ok", 0, 0, 0, ""))
    assert MARK_MS > 600_000, "a message may be tried again as long as it lives"


def test_a_success_is_told_at_once_only_where_something_is_given_back(shared: Any) -> None:
    plain, limited = Limits((Bucket("x", Rate(1000, 10)),)), Limits(at_once=2)
    for limits in (plain, limited):  # loads the scripts
        breaker.report("x", "ok", breaker.ask("x", limits))

    def round_trips(limits: Limits) -> int:
        before = shared.info("commandstats")["cmdstat_evalsha"]["calls"]
        breaker.report("x", "ok", breaker.ask("x", limits, message_id=1), used_tokens=10)
        return int(shared.info("commandstats")["cmdstat_evalsha"]["calls"] - before)

    assert round_trips(plain) == 1
    assert round_trips(limited) == 2


def test_what_is_counted_by_slots_does_not_grow(shared: Any) -> None:
    for number in range(200):
        breaker.report("x", "ok", breaker.ask("x", message_id=number, at_us=START_US + number * 10_000_000))
    assert shared.hlen("mindbot:breaker:x") <= 8
    assert shared.hlen("mindbot:tries:x") <= 8


def test_without_redis_each_process_keeps_its_own_places_and_budget(no_redis: None) -> None:
    limits = Limits((TOKENS,), at_once=1)
    leave = breaker.ask("x", limits, tokens=10)
    assert breaker.ask("x", limits, tokens=10).reason == "busy"
    breaker.report("x", "bad", leave, used_tokens=70_000, failed_message=1)
    assert breaker.ask("x", limits, tokens=10).reason == "tokens"
    breaker.report("y", "bad", Leave(), pause_s=900)
    assert breaker.ask("z", message_id=1).reason == ""
    breaker.report("z", "none", Leave(), failed_message=1, pause_s=900)
    assert breaker.ask("z", message_id=1).reason == "pause"
