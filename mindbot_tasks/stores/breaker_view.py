"""How the breakers of answerers stand, for people: a look that asks for no leave and counts nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis
import structlog

from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)


def open_for_s(names: Iterable[str], *, client: Any = None) -> dict[str, float]:
    """Seconds for which each of these is still left alone; 0: the next call is its probe. Who is well is not listed.

    Empty while Redis is away.
    """
    wanted = list(names)
    pipe = (client or get_redis()).pipeline(transaction=False)
    pipe.time()
    for name in wanted:
        pipe.hget(f"mindbot:breaker:{name}", "open_until")
    try:
        (seconds, micros), *until = pipe.execute()
    except redis.RedisError as exc:
        log.warning("breakers_unknown", error=type(exc).__name__)
        return {}
    now = seconds + micros / 1_000_000
    return {
        name: max(0.0, round(float(at) / 1_000_000 - now, 1))
        for name, at in zip(wanted, until, strict=True)
        if at and float(at) > 0
    }
