"""Whether somebody waits for what the bot has read: said by those who search, heeded by those who read documents.

In Redis, for they are other processes, maybe on other machines. Where it is lost, reading goes on at its own pace.
"""

from __future__ import annotations

import time

import redis

from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.stores.redis import get_redis

_KEY = "mindbot:knowledge:busy"
_KEPT_MS = 3_000
_SAY_EVERY_S = 1.0

_said_at = -_SAY_EVERY_S
_redis = Holdoff(10.0)


def say_busy() -> None:
    """A search had to wait; at most once a second it is told."""
    global _said_at
    now = time.monotonic()
    if now - _said_at < _SAY_EVERY_S or not _redis.allows():
        return
    _said_at = now
    try:
        get_redis().set(_KEY, "1", px=_KEPT_MS)
        _redis.worked()
    except redis.RedisError:
        _redis.failed()


def is_busy() -> bool:
    """Whether a search had to wait within the last three seconds."""
    if not _redis.allows():
        return False
    try:
        told = bool(get_redis().exists(_KEY))
        _redis.worked()
    except redis.RedisError:
        _redis.failed()
        return False
    return told
