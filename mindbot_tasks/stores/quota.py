"""How many messages of a person or a group are answered in a while, in the whole fleet; asked at the door.

One Lua call for both limits together. The first refusal in a window is told apart, so that it gets its one polite
notice. While Redis is away each process counts for itself, and nobody at the door waits for it twice in a row.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import redis
import structlog

from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.stores.limiter import NOW_LUA, TAKE_LUA, UNITS_S, LocalLimits, Rate, limit_key, monotonic_us, script

log = structlog.get_logger(__name__)

#: a limit per second would else excuse itself every second
_SHORTEST_WINDOW_S = 30
_ASK = (
    NOW_LUA
    + TAKE_LUA
    + """
local now = now_us('')
local longest, window, notice = 0, 0, ''
local count = #KEYS / 2
for number = 1, count do
  local at = (number - 1) * 3
  local interval, burst = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local full_at = math.max(now, tonumber(redis.call('GET', KEYS[number]) or '0'))
  local wait = full_at - (burst - 1) * interval - now
  if wait > longest then longest, window, notice = wait, tonumber(ARGV[at + 3]), KEYS[count + number] end
end
if longest == 0 then
  for number = 1, count do
    take(KEYS[number], now, tonumber(ARGV[(number - 1) * 3 + 1]), tonumber(ARGV[(number - 1) * 3 + 2]))
  end
  return {'0', 0}
end
local first = redis.call('SET', notice, '1', 'NX', 'PX', window)
return {string.format('%.0f', math.ceil(longest)), first and 1 or 0}
"""
)

_holdoff = Holdoff(pause_s=2.0)
_local = LocalLimits()
_told: dict[str, float] = {}
_told_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Too much at once."""

    wait_s: int  #: until the next one would be answered
    tell: bool  #: the first one in this window: say so


def window_s(rate: str) -> int:
    """The time that a rate such as "20/m" counts over, and in which one notice is enough."""
    return max(_SHORTEST_WINDOW_S, UNITS_S[rate[-1]])


def _rate(text: str) -> Rate:
    """People mean "20 in a minute", however they come; not one every three seconds."""
    interval_us = Rate.parse(text).interval_us
    return Rate(interval_us, max(1, int(float(text.partition("/")[0]))))


def ask(limits: dict[str, str], notices: dict[str, str]) -> Refusal | None:
    """None: go ahead, and it is counted. `limits` are rates by name; `notices` say by the same names who is told."""
    rates = {name: _rate(rate) for name, rate in limits.items()}
    windows = {name: window_s(rate) for name, rate in limits.items()}
    if _holdoff.allows():
        arguments = [
            value for name, rate in rates.items() for value in (rate.interval_us, rate.burst, windows[name] * 1000)
        ]
        try:
            wait_us, first = script(_ASK)(
                keys=[*map(limit_key, rates), *(f"mindbot:notice:{notices[name]}" for name in rates)], args=arguments
            )
        except redis.RedisError as exc:
            _holdoff.failed()
            log.warning("limits_without_redis", error=type(exc).__name__)
        else:
            _holdoff.worked()
            return Refusal(math.ceil(int(wait_us) / 1_000_000), bool(first)) if int(wait_us) else None
    return _ask_here(rates, windows, notices)


def _ask_here(rates: dict[str, Rate], windows: dict[str, int], notices: dict[str, str]) -> Refusal | None:
    now_us = monotonic_us()
    waits_us = {name: _local.take(name, rate, now_us) for name, rate in rates.items()}
    name, wait_us = max(waits_us.items(), key=lambda one: one[1])
    if not wait_us:
        return None
    notice, window = notices[name], windows[name]
    with _told_lock:
        tell = _told.get(notice, 0.0) <= now_us
        if tell:
            if len(_told) > 10_000:
                _told.clear()
            _told[notice] = now_us + window * 1_000_000
    return Refusal(math.ceil(wait_us / 1_000_000), tell)


def forget() -> None:
    """Start anew; for tests."""
    _local.__init__()  # type: ignore[misc]
    _told.clear()
    _holdoff.worked()
