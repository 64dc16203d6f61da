"""Whether an answerer may be called now: its breaker, its pause and its fleet-wide limit, asked in one round trip.

A breaker opens when at least half of at least ten calls of the last 30 s failed, in the whole fleet. It stays open for
15 s, then one caller, and only one, may try; each failure of such a probe doubles the time up to two minutes.

Round trips: `ask` one per call; `report` none for a success (it rides along with the next `ask`), one for a failure or
the end of a probe. When Redis is down each process keeps a breaker of its own.

`mindbot:breaker:<name>` is a hash: `ok:<slot>` and `bad:<slot>` count calls in slots of 5 s, `open_until`,
`probe_until` (microseconds on Redis' clock) and `trips`; it is forgotten after ten minutes without a call.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Literal

import redis
import structlog

from mindbot_tasks.core.metrics import BREAKER_OPEN, LIMIT_REFUSALS
from mindbot_tasks.stores.limiter import NOW_LUA, TAKE_LUA, Rate, limit_key, local, monotonic_us, pause_key, script

log = structlog.get_logger(__name__)

Reason = Literal["", "breaker", "pause", "limit"]
Outcome = Literal["ok", "bad", "none"]
"""How a call ended; `none` says nothing about the far side: it was stopped, or refused for good reason."""

SLOT_US = 5_000_000
SLOTS = 6
MIN_CALLS = 10
RATIO = 0.5
OPEN_US = 15_000_000
OPEN_MAX_US = 120_000_000
PROBE_US = 130_000_000  # longer than an answer may take; a probe that never reports frees its place then
_FORGET_MS = 600_000

_NUMBERS = f"""
local SLOT, SLOTS, MIN_CALLS, RATIO = {SLOT_US}, {SLOTS}, {MIN_CALLS}, {RATIO}
local OPEN, OPEN_MAX, PROBE, FORGET = {OPEN_US}, {OPEN_MAX_US}, {PROBE_US}, {_FORGET_MS}
"""
# KEYS: breaker, pause, limit; ARGV: now or '', successes to add, interval (0: no limit), burst
_ASK = (
    NOW_LUA
    + TAKE_LUA
    + _NUMBERS
    + """
local now = now_us(ARGV[1])
local state = redis.call('HMGET', KEYS[1], 'open_until', 'probe_until')
local open_until, probe_until = tonumber(state[1] or '0'), tonumber(state[2] or '0')
if tonumber(ARGV[2]) > 0 then
  redis.call('HINCRBY', KEYS[1], 'ok:' .. math.floor(now / SLOT), ARGV[2])
  redis.call('PEXPIRE', KEYS[1], FORGET)
end
local wait = math.max(open_until, probe_until) - now
if open_until > 0 and wait > 0 then return {'breaker', string.format('%.0f', wait), 0} end
wait = paused(KEYS[2])
if wait > 0 then return {'pause', string.format('%.0f', wait), 0} end
wait = take(KEYS[3], now, tonumber(ARGV[3]), tonumber(ARGV[4]))
if wait > 0 then return {'limit', string.format('%.0f', math.ceil(wait)), 0} end
if open_until == 0 then return {'', '0', 0} end
redis.call('HSET', KEYS[1], 'probe_until', string.format('%.0f', now + PROBE))
redis.call('PEXPIRE', KEYS[1], FORGET)
return {'', '0', 1}
"""
)
# KEYS: breaker; ARGV: now or '', 'ok' | 'bad' | 'none', 1 for a probe. Returns 1 when the breaker opened.
_REPORT = (
    NOW_LUA
    + _NUMBERS
    + """
local now = now_us(ARGV[1])
local function trip()
  local trips = redis.call('HINCRBY', KEYS[1], 'trips', 1)
  local open = math.min(OPEN_MAX, OPEN * 2 ^ (trips - 1))
  redis.call('HSET', KEYS[1], 'open_until', string.format('%.0f', now + open), 'probe_until', '0')
  redis.call('PEXPIRE', KEYS[1], FORGET)
  return 1
end
if ARGV[3] == '1' then
  if ARGV[2] == 'ok' then redis.call('DEL', KEYS[1]) return 0 end
  if ARGV[2] == 'bad' then return trip() end
  redis.call('HSET', KEYS[1], 'probe_until', '0')
  return 0
end
if ARGV[2] == 'none' then return 0 end
local slot = math.floor(now / SLOT)
redis.call('HINCRBY', KEYS[1], ARGV[2] .. ':' .. slot, 1)
redis.call('PEXPIRE', KEYS[1], FORGET)
if tonumber(redis.call('HGET', KEYS[1], 'open_until') or '0') > 0 then return 0 end
local ok, bad, old = 0, 0, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local kind, at = string.match(all[i], '^(%a+):(%d+)$')
  if kind then
    if tonumber(at) <= slot - SLOTS then old[#old + 1] = all[i]
    elseif kind == 'ok' then ok = ok + all[i + 1]
    elseif kind == 'bad' then bad = bad + all[i + 1] end
  end
end
if #old > 0 then redis.call('HDEL', KEYS[1], unpack(old)) end
if ok + bad >= MIN_CALLS and bad >= RATIO * (ok + bad) then return trip() end
return 0
"""
)


@dataclass(frozen=True, slots=True)
class Leave:
    """May the call be made? `reason` "" means yes."""

    reason: Reason = ""
    wait_s: float = 0.0
    probe: bool = False  #: this call decides whether the breaker closes: report how it ended


@dataclass(slots=True)
class _State:
    counts: dict[tuple[str, int], int] = field(default_factory=dict)
    open_until: float = 0
    probe_until: float = 0
    trips: int = 0


class LocalBreakers:
    """The same rules in the memory of one process; what remains when Redis is down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}

    def ask(self, name: str, rate: Rate | None, now_us: float) -> Leave:
        with self._lock:
            state = self._states.setdefault(name, _State())
            wait = max(state.open_until, state.probe_until) - now_us
            if state.open_until > 0 and wait > 0:
                return Leave("breaker", wait / 1_000_000)
            wait = local.take(name, rate, now_us)
            if wait > 0:
                return Leave("limit", wait / 1_000_000)
            if state.open_until == 0:
                return Leave()
            state.probe_until = now_us + PROBE_US
            return Leave(probe=True)

    def report(self, name: str, outcome: Outcome, probe: bool, now_us: float) -> bool:
        """Whether the breaker opened."""
        with self._lock:
            state = self._states.setdefault(name, _State())
            if probe:
                if outcome == "ok":
                    self._states[name] = _State()
                elif outcome == "bad":
                    return self._trip(state, now_us)
                else:
                    state.probe_until = 0
                return False
            if outcome == "none":
                return False
            slot = int(now_us // SLOT_US)
            state.counts[(outcome, slot)] = state.counts.get((outcome, slot), 0) + 1
            if outcome == "ok" or state.open_until > 0:
                return False
            state.counts = {key: count for key, count in state.counts.items() if key[1] > slot - SLOTS}
            bad = sum(count for (kind, _), count in state.counts.items() if kind == "bad")
            total = sum(state.counts.values())
            return total >= MIN_CALLS and bad >= RATIO * total and self._trip(state, now_us)

    @staticmethod
    def _trip(state: _State, now_us: float) -> bool:
        state.trips += 1
        state.open_until = now_us + min(OPEN_MAX_US, OPEN_US * 2 ** (state.trips - 1))
        state.probe_until = 0
        return True


local_breakers = LocalBreakers()
_successes: dict[str, int] = {}
_successes_lock = threading.Lock()


def ask(name: str, rate: Rate | None = None, *, client: Any = None, at_us: int | None = None) -> Leave:
    """Whether `name` may be called now; a yes is counted against its limit."""
    with _successes_lock:
        successes = _successes.pop(name, 0)
    interval_us, burst = (rate.interval_us, rate.burst) if rate is not None else (0, 1)
    try:
        reason, wait_us, probe = script(_ASK, client)(
            keys=(f"mindbot:breaker:{name}", pause_key(name), limit_key(name)),
            args=("" if at_us is None else at_us, successes, interval_us, burst),
        )
        leave = Leave(reason, int(wait_us) / 1_000_000, bool(probe))
    except redis.RedisError as exc:
        log.warning("breaker_without_redis", answerer=name, error=type(exc).__name__)
        leave = local_breakers.ask(name, rate, monotonic_us())
    if leave.reason:
        LIMIT_REFUSALS.labels(f"{leave.reason}:{name}").inc()
    BREAKER_OPEN.labels(name).set(leave.reason == "breaker" or leave.probe)
    return leave


def report(name: str, outcome: Outcome, *, probe: bool = False, client: Any = None, at_us: int | None = None) -> None:
    """How a call ended that `ask` allowed; `probe` as `ask` said."""
    local_breakers.report(name, outcome, probe, monotonic_us())
    if not probe and outcome != "bad":
        if outcome == "ok":
            with _successes_lock:
                _successes[name] = _successes.get(name, 0) + 1
        return
    try:
        opened = script(_REPORT, client)(
            keys=(f"mindbot:breaker:{name}",),
            args=("" if at_us is None else at_us, outcome, int(probe)),
        )
    except redis.RedisError as exc:
        log.warning("breaker_without_redis", answerer=name, error=type(exc).__name__)
        return
    if opened:
        BREAKER_OPEN.labels(name).set(1)
        log.warning("breaker_opened", answerer=name)
    elif probe and outcome == "ok":
        BREAKER_OPEN.labels(name).set(0)
        log.info("breaker_closed", answerer=name)
