"""When each bot last heard and last said something, in the whole fleet.

Noting costs a message nothing but a dictionary entry: a thread carries what is new to Redis every `FLUSH_S`, in one
round trip. `mindbot:traffic` is a hash of milliseconds on Redis' clock.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
import redis
import structlog

from mindbot_tasks.stores import limiter
from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

Direction = Literal["in", "out"]
FLUSH_S: Final = 2.0
_KEY: Final = "mindbot:traffic"
_Place = tuple[str, str, Direction]

# KEYS: hash; ARGV: field, age in ms, field, age in ms ...
_NOTE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #ARGV, 2 do
  local at = now - tonumber(ARGV[i + 1])
  if at > tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0') then
    redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', at))
  end
end
return 1
"""
_READ = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local all = redis.call('HGETALL', KEYS[1])
for i = 2, #all, 2 do all[i] = string.format('%.0f', now - tonumber(all[i])) end
return all
"""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Seconds since; None: never, as far as Redis remembers."""

    inbound_s: float | None = None
    outbound_s: float | None = None


class Book:
    """What this process has seen and not yet told."""

    def __init__(self) -> None:
        self._seen: dict[_Place, float] = {}
        self._news = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def note(self, platform: str, bot: str, direction: Direction) -> None:
        """Now."""
        self._seen[platform, bot, direction] = time.monotonic()
        if not self._news.is_set():
            self._news.set()
            if self._thread is None:
                self._begin()

    def flush(self, client: Any = None) -> None:
        """Carry it to Redis. Raises redis.RedisError, and keeps what is not told then."""
        self._news.clear()
        seen = dict(self._seen)
        now = time.monotonic()
        arguments: list[Any] = []
        for place, at in seen.items():
            arguments += [orjson.dumps(place).decode(), int((now - at) * 1000)]
        if arguments:
            limiter.script(_NOTE, client if client is not None else get_redis())(keys=(_KEY,), args=arguments)
        for place, at in seen.items():
            if self._seen.get(place) == at:
                self._seen.pop(place, None)

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._news.wait()
            time.sleep(FLUSH_S)
            try:
                self.flush()
            except redis.RedisError as exc:
                log.debug("traffic_not_told", reason=type(exc).__name__)
            except Exception:
                log.exception("traffic_failed")  # whatever it was, the next try may work


_book = Book()


def note(platform: str, bot: str, direction: Direction) -> None:
    """This bot has just heard ("in") or said ("out") something."""
    _book.note(platform, bot, direction)


def read_all(*, client: Any = None) -> dict[tuple[str, str], Traffic] | None:
    """For each (platform, bot); None when Redis is away."""
    try:
        flat = limiter.script(_READ, client if client is not None else get_redis())(keys=(_KEY,))
    except redis.RedisError as exc:
        log.debug("traffic_unknown", reason=type(exc).__name__)
        return None
    ages: dict[tuple[str, str], dict[str, float]] = {}
    for name, age in zip(flat[::2], flat[1::2], strict=True):
        platform, bot, direction = orjson.loads(name)
        ages.setdefault((platform, bot), {})[direction] = max(0.0, int(age) / 1000)
    return {place: Traffic(found.get("in"), found.get("out")) for place, found in ages.items()}


def _forget_after_fork() -> None:
    global _book
    _book = Book()


os.register_at_fork(after_in_child=_forget_after_fork)
