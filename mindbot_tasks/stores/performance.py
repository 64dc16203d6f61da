"""How well each answerer did lately, in the whole fleet: calls, successes and time over the last ten minutes.

Each process adds up what it saw and hands it over when it next reads, at most every two seconds: one round trip then,
none for the calls themselves. While Redis is down a process knows what it saw itself.

`mindbot:seen:<answerer>` is a hash of `calls:<slot>`, `ok:<slot>` and `ms:<slot>` (of the successes), in slots of 60 s.
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

log = structlog.get_logger(__name__)

SLOT_S = 60
SLOTS = 10
READ_EVERY_S = 2.0

# KEYS: one hash for each name; ARGV: now in microseconds or '', then calls, ok and ms to add for each name
_EXCHANGE = (
    NOW_LUA
    + f"""
local slot = math.floor(now_us(ARGV[1]) / {SLOT_S * 1_000_000})
local found = {{}}
for i, key in ipairs(KEYS) do
  for j, field in ipairs({{'calls', 'ok', 'ms'}}) do
    local more = tonumber(ARGV[1 + (i - 1) * 3 + j])
    if more > 0 then redis.call('HINCRBY', key, field .. ':' .. slot, more) end
  end
  local sums, old = {{calls = 0, ok = 0, ms = 0}}, {{}}
  local all = redis.call('HGETALL', key)
  for k = 1, #all, 2 do
    local field, at = string.match(all[k], '^(%a+):(%d+)$')
    if tonumber(at) <= slot - {SLOTS} then old[#old + 1] = all[k]
    else sums[field] = sums[field] + all[k + 1] end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
  if sums.calls > 0 then redis.call('PEXPIRE', key, {(SLOTS + 1) * SLOT_S * 1000}) end
  found[#found + 1] = sums.calls
  found[#found + 1] = sums.ok
  found[#found + 1] = sums.ms
end
return found
"""
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the calls of one answerer in the window."""

    calls: int = 0
    ok: int = 0
    ok_ms: int = 0  #: of all successes together

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

    def seen(self, names: Iterable[str], *, client: Any = None, at_us: int | None = None) -> Mapping[str, Seen]:
        """What all processes together saw of these; at most two seconds old."""
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
                keys=[f"mindbot:seen:{name}" for name in asked], args=["" if at_us is None else at_us, *more]
            )
        except redis.RedisError as exc:
            log.warning("performance_without_redis", error=type(exc).__name__)
            return self._by_myself(asked, handed)
        with self._lock:
            for number, name in enumerate(asked):
                self._seen[name] = Seen(*(int(value) for value in found[3 * number : 3 * number + 3]))
            return dict(self._seen)

    def _by_myself(self, asked: list[str], handed: dict[str, list[int]]) -> Mapping[str, Seen]:
        """Keep what could not be handed over for the next time."""
        with self._lock:
            for name, counts in handed.items():
                kept = self._noted.setdefault(name, [0, 0, 0])
                for place, count in enumerate(counts):
                    kept[place] += count
            return {name: self._seen.get(name) or Seen(*self._noted.get(name, (0, 0, 0))) for name in asked}


_performance = Performance()
note = _performance.note
seen = _performance.seen
