"""Fleet-wide limits: how often something may begin in all processes together, and pauses that the far side asked for.

A generic cell rate (GCRA) in one Lua call on Redis' own clock: one round trip for `take`, one for `pause`. Nobody
sleeps here: the caller learns how long to stay away. When Redis is down each process limits itself.

`mindbot:limit:<name>` is the time, in microseconds, at which the bucket would be full again; `mindbot:pause:<name>`
lives as long as the pause.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

NOW_LUA = """
local function now_us(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
"""
TAKE_LUA = """
local function take(limit, now, interval, burst)
  if interval <= 0 then return 0 end
  local full_at = math.max(now, tonumber(redis.call('GET', limit) or '0'))
  local wait = full_at - (burst - 1) * interval - now
  if wait > 0 then return wait end
  full_at = full_at + interval
  redis.call('SET', limit, string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1000)
  return 0
end
local function paused(pause)
  return math.max(0, redis.call('PTTL', pause)) * 1000
end
"""
_TAKE = (
    NOW_LUA
    + TAKE_LUA
    + """
local wait = paused(KEYS[2])
if wait > 0 then return string.format('%.0f', wait) end
return string.format('%.0f', math.ceil(take(KEYS[1], now_us(ARGV[3]), tonumber(ARGV[1]), tonumber(ARGV[2]))))
"""
)
_PAUSE = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end
return 1
"""
_RATE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(s|m|h)\s*\Z")
UNITS_S = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many starts in so many seconds, and how many may come at once."""

    interval_us: float  #: between two starts
    burst: int

    @classmethod
    def per_minute(cls, count: float) -> Rate:
        """`count` a minute; a tenth of a minute's worth may come at once."""
        return cls(60_000_000 / count, max(1, int(count / 10)))

    @classmethod
    @functools.cache
    def parse(cls, text: str) -> Rate:
        """ "200/s", "600/m" or "1000/h". Raises SettingsError."""
        match = _RATE.match(text)
        if match is None or float(match[1]) <= 0:
            raise SettingsError(f'a limit is written like "200/s" or "600/m", not "{text}"')
        per_s = float(match[1]) / UNITS_S[match[2]]
        # up to a second's worth at once for limits per second, else a tenth of the unit's
        return cls(1_000_000 / per_s, max(1, int(float(match[1]) / (1 if match[2] == "s" else 10))))


class LocalLimits:
    """The same rules in the memory of one process; what remains when Redis is down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full_at_us: dict[str, float] = {}
        self._paused_until_us: dict[str, float] = {}

    def take(self, name: str, rate: Rate | None, now_us: float) -> float:
        """Microseconds to wait; 0: go, and it is counted."""
        with self._lock:
            wait = self._paused_until_us.get(name, 0) - now_us
            if wait > 0:
                return wait
            if rate is None:
                return 0
            full_at = max(now_us, self._full_at_us.get(name, 0))
            wait = full_at - (rate.burst - 1) * rate.interval_us - now_us
            if wait > 0:
                return wait
            self._full_at_us[name] = full_at + rate.interval_us
            return 0

    def pause(self, name: str, seconds: float, now_us: float) -> None:
        with self._lock:
            self._paused_until_us[name] = max(self._paused_until_us.get(name, 0), now_us + seconds * 1_000_000)


local = LocalLimits()


def limit_key(name: str) -> str:
    return f"mindbot:limit:{name}"


def pause_key(name: str) -> str:
    return f"mindbot:pause:{name}"


def take(name: str, rate: str | Rate, *, client: Any = None, at_us: int | None = None) -> float:
    """Seconds to stay away; 0 means go, and this start is counted. `rate` is a Rate or text such as "600/m"."""
    wanted = Rate.parse(rate) if isinstance(rate, str) else rate
    keys = (limit_key(name), pause_key(name))
    try:
        answer = script(_TAKE, client)(
            keys=keys, args=(wanted.interval_us, wanted.burst, "" if at_us is None else at_us)
        )
    except redis.RedisError as exc:
        log.warning("limits_without_redis", limit=name, error=type(exc).__name__)
        return local.take(name, wanted, monotonic_us()) / 1_000_000
    return int(answer) / 1_000_000


def pause(name: str, seconds: float, *, client: Any = None) -> None:
    """Nobody in the fleet begins `name` for so long; a longer pause that is there already stays."""
    if seconds <= 0:
        return
    local.pause(name, seconds, monotonic_us())
    try:
        script(_PAUSE, client)(keys=(pause_key(name),), args=(max(1, int(seconds * 1000)),))
    except redis.RedisError as exc:
        log.warning("limits_without_redis", limit=name, error=type(exc).__name__)


def monotonic_us() -> float:
    """Microseconds; of this machine, to be compared with nobody else's."""
    return time.monotonic_ns() / 1000


_scripts: dict[tuple[str, int], Any] = {}


def script(text: str, client: Any = None) -> Any:
    """A registered script: sent by its hash, so one round trip unless Redis has forgotten it."""
    used = client if client is not None else get_redis()
    known = _scripts.get((text, id(used)))
    if known is None or known.registered_client is not used:
        known = _scripts[(text, id(used))] = used.register_script(text)
    return known
