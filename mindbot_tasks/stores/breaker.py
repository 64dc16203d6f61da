"""Whether an answerer may be called now: its breaker, its pause, its retry budget and its fleet-wide limits.

A breaker opens when at least half of at least ten calls of the last 30 s failed, in the whole fleet. It stays open for
15 s, then one caller, and only one, may try; each failure of such a probe doubles the time up to two minutes.

A message that has failed at an answerer may be tried there again only while such retries are at most a fifth of the
first tries of the last minute (three in ten seconds are always allowed): a far side in trouble does not get more work
for it. When it answers nine of ten calls again, all that have waited may come.

Round trips: `ask` one per call; `report` none for a success (it rides along with the next `ask`), one for a failure,
the end of a probe, and where calls at the same time or tokens are limited. When Redis is down each process keeps all of
this for itself.

`mindbot:breaker:<name>` is a hash: `ok:<slot>` and `bad:<slot>` count calls in slots of 5 s, `open_until`,
`probe_until` (microseconds on Redis' clock) and `trips`; `mindbot:tries:<name>` counts `first` and `again` in slots of
10 s; `mindbot:failed:<name>:<message>` marks a message that failed there; `mindbot:places:<name>` is a sorted set of
the calls that are under way, by the time when they are over at the latest, whatever became of their process;
`mindbot:limit:<bucket>` is the time when a bucket would be full again.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
from dataclasses import replace
from typing import Any

import redis
import structlog

from mindbot_tasks.core.metrics import LIMIT_REFUSALS, RETRIED_CALLS
from mindbot_tasks.stores.breaker_local import LocalBreakers
from mindbot_tasks.stores.breaker_lua import ASK, REPORT
from mindbot_tasks.stores.leave import NO_LIMITS, Leave, Limits, Outcome, Reason
from mindbot_tasks.stores.limiter import limit_key, local, monotonic_us, pause_key, script

__all__ = ["Leave", "Limits", "LocalBreakers", "Outcome", "Reason", "ask", "local_breakers", "report"]

log = structlog.get_logger(__name__)

local_breakers = LocalBreakers()
_successes: dict[str, int] = {}
_successes_lock = threading.Lock()
_numbers = itertools.count()
_process = ""


def ask(
    name: str,
    limits: Limits = NO_LIMITS,
    *,
    tokens: int = 0,
    message_id: int = 0,
    lease_s: float = 150.0,
    client: Any = None,
    at_us: int | None = None,
) -> Leave:
    """Whether `name` may be called now; a yes is counted against its limits.

    tokens: what the call will use, on a guess. message_id: whose try it is; 0: nobody's, so never a retry. lease_s: how
    long the call may take at most.
    """
    with _successes_lock:
        successes = _successes.pop(name, 0)
    lease = _new_lease() if limits.at_once else ""
    lease_us = int(lease_s * 1_000_000)
    keys = [f"mindbot:breaker:{name}", pause_key(name), f"mindbot:tries:{name}", _mark(name, message_id), _places(name)]
    arguments: list[Any] = ["" if at_us is None else at_us, successes, limits.at_once, lease, lease_us]
    for bucket in limits.buckets:
        keys.append(limit_key(bucket.name))
        amount = tokens if bucket.counts == "tokens" else 1
        arguments += [bucket.rate.interval_us, bucket.rate.burst, amount, bucket.counts]
    try:
        reason, wait_us, probe, again = script(ASK, client)(keys=keys, args=arguments)
        leave = Leave(reason, int(wait_us) / 1_000_000, bool(probe), bool(again))
        if not reason:
            leave = replace(leave, lease=lease, tokens=tokens, limits=limits)
    except redis.RedisError as exc:
        log.warning("breaker_without_redis", answerer=name, error=type(exc).__name__)
        now_us = monotonic_us()
        leave = local_breakers.ask(
            name,
            limits,
            now_us,
            paused_us=local.take(name, None, now_us),
            tokens=tokens,
            message_id=message_id,
            lease=lease,
            lease_us=lease_us,
        )
    if leave.reason:
        LIMIT_REFUSALS.labels(f"{leave.reason}:{name}").inc()
    if leave.again:
        RETRIED_CALLS.labels(name).inc()
    return leave


def report(
    name: str,
    outcome: Outcome,
    leave: Leave | None = None,
    *,
    used_tokens: int | None = None,
    pause_s: float = 0.0,
    failed_message: int = 0,
    client: Any = None,
    at_us: int | None = None,
) -> None:
    """How a call ended that `ask` allowed; `leave` as `ask` said.

    used_tokens: as the far side counted them; None: the guess stays. pause_s: it asked to be left alone for so long.
    failed_message: whose try has failed, so that the next one is a retry.
    """
    leave = leave or Leave()
    more_tokens = 0 if used_tokens is None else used_tokens - leave.tokens
    now_us = monotonic_us()
    local_breakers.report(
        name,
        outcome,
        leave,
        now_us,
        more_tokens=more_tokens,
        message_id=failed_message,
        mark=failed_message > 0,
    )
    if pause_s > 0:
        local.pause(name, pause_s, now_us)
    to_tell = (
        leave.probe or leave.lease or pause_s > 0 or failed_message or (more_tokens and leave.limits.counts_tokens)
    )
    if outcome != "bad" and not to_tell:
        if outcome == "ok":
            with _successes_lock:
                _successes[name] = _successes.get(name, 0) + 1
        return
    keys = [f"mindbot:breaker:{name}", pause_key(name), _mark(name, failed_message), _places(name)]
    arguments: list[Any] = [
        "" if at_us is None else at_us,
        outcome,
        int(leave.probe),
        int(pause_s * 1000),
        int(failed_message > 0),
        leave.lease,
    ]
    for bucket in leave.limits.buckets:
        if bucket.counts == "tokens":
            keys.append(limit_key(bucket.name))
            arguments += [bucket.rate.interval_us, more_tokens]
    try:
        opened = script(REPORT, client)(keys=keys, args=arguments)
    except redis.RedisError as exc:
        log.warning("breaker_without_redis", answerer=name, error=type(exc).__name__)
        return
    if opened:
        log.warning("breaker_opened", answerer=name)
    elif leave.probe and outcome == "ok":
        log.info("breaker_closed", answerer=name)


def _mark(name: str, message_id: int) -> str:
    return f"mindbot:failed:{name}:{message_id}"


def _places(name: str) -> str:
    return f"mindbot:places:{name}"


def _new_lease() -> str:
    """Unlike any other in the fleet."""
    return f"{_process}{next(_numbers)}"


def _name_process() -> None:
    global _process
    _process = f"{secrets.token_hex(6)}:"


_name_process()
os.register_at_fork(after_in_child=_name_process)
