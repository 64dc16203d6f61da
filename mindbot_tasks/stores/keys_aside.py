"""API keys that rest for a while in the whole fleet: refused, out of money, or told to wait.

Round trips: none for the calls themselves; each process asks for a ring of keys at most every ten seconds, and tells
each failure. What a process has not heard of yet costs it one refused call. When Redis is down each knows its own.

`mindbot:key-aside:<answerer>:<fingerprint>` holds the reason and lives as long as the key rests. A fingerprint tells
two keys apart and gives neither away.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

READ_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Rest:
    """Why a key is not used, and for how long."""

    reason: str  #: the kind of the error: auth, quota or rate_limit
    until: float  #: on time.monotonic()

    @property
    def left_s(self) -> float:
        return max(0.0, self.until - time.monotonic())


class KeysAside:
    """What one process knows about resting keys."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rests: dict[tuple[str, str], Rest] = {}
        self._read_at: dict[str, float] = {}

    def put(self, name: str, mark: str, reason: str, seconds: float, *, client: Any = None) -> None:
        """Nobody in the fleet uses this key of `name` for so long."""
        self._keep(name, mark, Rest(reason, time.monotonic() + seconds))
        try:
            _client(client).set(_key(name, mark), reason, px=max(1, int(seconds * 1000)))
        except redis.RedisError as exc:
            log.warning("keys_without_redis", answerer=name, error=type(exc).__name__)

    def forget(self, name: str, marks: Sequence[str], *, client: Any = None) -> None:
        """All of these may be used again. Raises redis.RedisError."""
        with self._lock:
            for mark in marks:
                self._rests.pop((name, mark), None)
        _client(client).delete(*(_key(name, mark) for mark in marks))

    def resting(self, name: str, marks: Sequence[str], *, client: Any = None) -> Mapping[str, Rest]:
        """Those of these keys that rest now, by fingerprint."""
        now = time.monotonic()
        with self._lock:
            asks = now - self._read_at.get(name, float("-inf")) >= READ_EVERY_S
            if asks:
                self._read_at[name] = now  # the others go on with what is known while this one asks
        if asks:
            self._read(name, marks, client)
        with self._lock:
            return {mark: rest for mark in marks if (rest := self._rests.get((name, mark))) and rest.until > now}

    def _read(self, name: str, marks: Sequence[str], client: Any) -> None:
        try:
            pipe = _client(client).pipeline(transaction=False)
            for mark in marks:
                pipe.get(_key(name, mark))
                pipe.pttl(_key(name, mark))
            found = pipe.execute()
        except redis.RedisError as exc:
            log.warning("keys_without_redis", answerer=name, error=type(exc).__name__)
            return
        for mark, reason, left_ms in zip(marks, found[::2], found[1::2], strict=True):
            if reason and left_ms > 0:
                self._keep(name, mark, Rest(str(reason), time.monotonic() + left_ms / 1000))

    def _keep(self, name: str, mark: str, rest: Rest) -> None:
        with self._lock:
            known = self._rests.get((name, mark))
            if known is None or known.until < rest.until or known.reason != rest.reason:
                self._rests[name, mark] = rest


def fingerprint(secret: str) -> str:
    """What stands for a key in Redis."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _key(name: str, mark: str) -> str:
    return f"mindbot:key-aside:{name}:{mark}"


def _client(given: Any) -> Any:
    return given if given is not None else get_redis()


keys_aside = KeysAside()
"""Of this process."""
