"""How well each answerer did lately, in the whole fleet: calls, successes and time over the last ten minutes.

Each process adds up what it saw and hands it over when it next reads, at most every two seconds: one round trip then,
none for the calls themselves. While Redis is down a process knows what it saw itself.

An answerer whose share of successes falls below a threshold becomes sick, and stays so until `RECOVERED` calls in a row
were answered: what the fleet agrees on does not flap with every call. Nobody calls it for eleven minutes: forgotten.

`mindbot:seen:<answerer>` is a hash of `calls:<slot>`, `ok:<slot>` and `ms:<slot>` (of the successes), in slots of 60 s;
with `sick` (since when, microseconds) and `good` (calls answered in a row since) while it is sick.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from mindbot_tasks.stores.limiter import NOW_LUA, script
from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

SLOT_S = 60
SLOTS = 10
READ_EVERY_S = 2.0
#: below so many calls in the window nobody is judged
ENOUGH_CALLS = 10
#: so many answers in a row make a sick answerer well
RECOVERED = 5

# KEYS: one hash for each name; ARGV: now in microseconds or '', the threshold (0: judge nobody), then calls, ok and ms
# to add for each name
_EXCHANGE = (
    NOW_LUA
    + f"""
local now = now_us(ARGV[1])
local slot, threshold = math.floor(now / {SLOT_S * 1_000_000}), tonumber(ARGV[2])
local found = {{}}
for i, key in ipairs(KEYS) do
  local added = {{}}
  for j, field in ipairs({{'calls', 'ok', 'ms'}}) do
    local more = tonumber(ARGV[2 + (i - 1) * 3 + j])
    added[field] = more
    if more > 0 then redis.call('HINCRBY', key, field .. ':' .. slot, more) end
  end
  local sums, old, fields = {{calls = 0, ok = 0, ms = 0}}, {{}}, {{}}
  local sick, good = 0, 0
  local all = redis.call('HGETALL', key)
  for k = 1, #all, 2 do
    local field, at = string.match(all[k], '^(%a+):(%d+)$')
    if all[k] == 'sick' then sick = tonumber(all[k + 1])
    elseif all[k] == 'good' then good = tonumber(all[k + 1])
    elseif tonumber(at) <= slot - {SLOTS} then old[#old + 1] = all[k]
    else sums[field] = sums[field] + all[k + 1] end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
  if sums.calls > 0 then redis.call('PEXPIRE', key, {(SLOTS + 1) * SLOT_S * 1000}) end
  if sick > 0 and added.calls > 0 then
    if added.ok < added.calls then good = 0 else good = good + added.ok end
    if good >= {RECOVERED} then
      redis.call('DEL', key)
      sick = 0
    else redis.call('HSET', key, 'good', good) end
  elseif sick == 0 and sums.calls >= {ENOUGH_CALLS} and sums.ok < threshold * sums.calls then
    sick = now
    redis.call('HSET', key, 'sick', string.format('%.0f', now), 'good', 0)
  end
  found[#found + 1] = sums.calls
  found[#found + 1] = sums.ok
  found[#found + 1] = sums.ms
  found[#found + 1] = sick > 0 and 1 or 0
end
return found
"""
)
_EACH = 4  #: numbers for each name


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the calls of one answerer in the window."""

    calls: int = 0
    ok: int = 0
    ok_ms: int = 0  #: of all successes together
    sick: bool = False  #: it failed too often, and has not recovered

    @property
    def success(self) -> float:
        """Share of the calls that were answered; 1 while nothing is known."""
        return self.ok / self.calls if self.calls else 1.0

    @property
    def latency_s(self) -> float | None:
        """Mean time of a success; None while there is none."""
        return self.ok_ms / self.ok / 1000 if self.ok else None


class Performance:
    """What one process has noted and last read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted: dict[str, list[int]] = {}
        self._seen: dict[str, Seen] = {}
        self._read_at = float("-inf")

    def note(self, name: str, *, ok: bool, seconds: float) -> None:
        """One call has ended."""
        with self._lock:
            noted = self._noted.setdefault(name, [0, 0, 0])
            noted[0] += 1
            if ok:
                noted[1] += 1
                noted[2] += int(seconds * 1000)

    def seen(
        self, names: Iterable[str], *, threshold: float = 0.0, client: Any = None, at_us: int | None = None
    ) -> Mapping[str, Seen]:
        """What all processes together saw of these; at most two seconds old.

        threshold: whoever answered less than this share of enough calls becomes sick; 0 judges nobody.
        """
        with self._lock:
            wanted = list(names)
            now = time.monotonic()
            if now - self._read_at < READ_EVERY_S and all(name in self._seen for name in wanted):
                return dict(self._seen)
            self._read_at = now  # the others go on with what is known while this one asks
            handed, self._noted = self._noted, {}
        asked = list(dict.fromkeys([*wanted, *handed]))
        more = [count for name in asked for count in handed.get(name, (0, 0, 0))]
        try:
            found = script(_EXCHANGE, client)(
                keys=[f"mindbot:seen:{name}" for name in asked], args=["" if at_us is None else at_us, threshold, *more]
            )
        except redis.RedisError as exc:
            log.warning("performance_without_redis", error=type(exc).__name__)
            return self._by_myself(asked, handed)
        with self._lock:
            for number, name in enumerate(asked):
                calls, ok, ok_ms, sick = (int(value) for value in found[_EACH * number : _EACH * (number + 1)])
                self._seen[name] = Seen(calls, ok, ok_ms, bool(sick))
            return dict(self._seen)

    def _by_myself(self, asked: list[str], handed: dict[str, list[int]]) -> Mapping[str, Seen]:
        """Keep what could not be handed over for the next time."""
        with self._lock:
            for name, counts in handed.items():
                kept = self._noted.setdefault(name, [0, 0, 0])
                for place, count in enumerate(counts):
                    kept[place] += count
            return {name: self._seen.get(name) or Seen(*self._noted.get(name, (0, 0, 0))) for name in asked}


def lately(name: str, *, slots: int = 3, client: Any = None) -> Seen:
    """What the fleet handed over of this answerer in the last slots, the present one included.

    Of ten minutes a trouble that has just begun is a small part. Nothing while Redis is down. Takes a round trip.
    """
    asked = client or get_redis()
    try:
        with asked.pipeline(transaction=False) as together:
            together.time()
            together.hgetall(f"mindbot:seen:{name}")
            (seconds, _), fields = together.execute()
    except redis.RedisError:
        return Seen()
    first = seconds // SLOT_S - slots + 1
    sums = {"calls": 0, "ok": 0, "ms": 0}
    for field, value in fields.items():
        kind, _, slot = field.partition(":")
        if kind in sums and slot.isdigit() and int(slot) >= first:
            sums[kind] += int(value)
    return Seen(sums["calls"], sums["ok"], sums["ms"])


_performance = Performance()
note = _performance.note
seen = _performance.seen
