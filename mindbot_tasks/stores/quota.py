"""How many messages of a person or a group are answered in a while, in the whole fleet; asked at the door.

One Lua call for both limits together. The first refusal in a window is told apart, so that it gets its one polite
notice. A message that comes again, because the platform did not hear our 200 or there was none, gets the same answer
and counts once. While Redis is away each process counts for itself, and nobody at the door waits for it twice in a row.
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
local seen = KEYS[#KEYS]
local said = redis.call('GET', seen)
if said then return cjson.decode(said) end
local now = now_us('')
local longest, window, notice, longest_window = 0, 0, '', 0
local count = (#KEYS - 1) / 2
local function answer(wait, first, kept)
  local it = {string.format('%.0f', math.ceil(wait)), first}
  redis.call('SET', seen, cjson.encode(it), 'PX', kept)
  return it
end
for number = 1, count do
  local at = (number - 1) * 3
  local interval, burst = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  longest_window = math.max(longest_window, tonumber(ARGV[at + 3]))
  local full_at = math.max(now, tonumber(redis.call('GET', KEYS[number]) or '0'))
  local wait = full_at - (burst - 1) * interval - now
  if wait > longest then longest, window, notice = wait, tonumber(ARGV[at + 3]), KEYS[count + number] end
end
if longest == 0 then
  for number = 1, count do
    take(KEYS[number], now, tonumber(ARGV[(number - 1) * 3 + 1]), tonumber(ARGV[(number - 1) * 3 + 2]))
  end
  return answer(0, 0, longest_window)
end
local first = redis.call('SET', notice, '1', 'NX', 'PX', window)
return answer(longest, first and 1 or 0, math.ceil(longest / 1000))
"""
)

_holdoff = Holdoff(pause_s=2.0)
_local = LocalLimits()
_told: dict[str, float] = {}
_told_lock = threading.Lock()
_MOST_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Too much at once."""

    wait_s: int  #: until the next one would be answered
    tell: bool  #: the first one in this window: say so


#: what was answered here about a message, and until when it holds
_said: dict[str, tuple[float, Refusal | None]] = {}


def window_s(rate: str) -> int:
    """The time that a rate such as "20/m" counts over, and in which one notice is enough."""
    return max(_SHORTEST_WINDOW_S, UNITS_S[rate[-1]])


def _rate(text: str) -> Rate:
    """People mean "20 in a minute", however they come; not one every three seconds."""
    interval_us = Rate.parse(text).interval_us
    return Rate(interval_us, max(1, int(float(text.partition("/")[0]))))


def ask(limits: dict[str, str], notices: dict[str, str], message: str) -> Refusal | None:
    """None: go ahead, and it is counted. `limits` are rates by name; `notices` say by the same names who is told;
    `message` is the name of what is asked for."""
    rates = {name: _rate(rate) for name, rate in limits.items()}
    windows = {name: window_s(rate) for name, rate in limits.items()}
    if _holdoff.allows():
        arguments = [
            value for name, rate in rates.items() for value in (rate.interval_us, rate.burst, windows[name] * 1000)
        ]
        try:
            wait_us, first = script(_ASK)(
                keys=[
                    *map(limit_key, rates),
                    *(f"mindbot:notice:{notices[name]}" for name in rates),
                    f"mindbot:asked:{message}",
                ],
                args=arguments,
            )
        except redis.RedisError as exc:
            _holdoff.failed()
            log.warning("limits_without_redis", error=type(exc).__name__)
        else:
            _holdoff.worked()
            return Refusal(math.ceil(int(wait_us) / 1_000_000), bool(first)) if int(wait_us) else None
    now_us = monotonic_us()
    with _told_lock:
        until_us, said = _said.get(message, (0.0, None))
    if until_us > now_us:
        return said
    said = _ask_here(rates, windows, notices, now_us)
    kept_s = said.wait_s if said is not None else max(windows.values())
    with _told_lock:
        if len(_said) >= _MOST_KEPT:
            _said.clear()
        _said[message] = (now_us + kept_s * 1_000_000, said)
    return said


def _ask_here(
    rates: dict[str, Rate], windows: dict[str, int], notices: dict[str, str], now_us: float
) -> Refusal | None:
    waits_us = {name: _local.take(name, rate, now_us) for name, rate in rates.items()}
    name, wait_us = max(waits_us.items(), key=lambda one: one[1])
    if not wait_us:
        return None
    notice, window = notices[name], windows[name]
    with _told_lock:
        tell = _told.get(notice, 0.0) <= now_us
        if tell:
            if len(_told) >= _MOST_KEPT:
                _told.clear()
            _told[notice] = now_us + window * 1_000_000
    return Refusal(math.ceil(wait_us / 1_000_000), tell)


def forget() -> None:
    """Start anew; for tests."""
    _local.__init__()  # type: ignore[misc]
    _told.clear()
    _said.clear()
    _holdoff.worked()
