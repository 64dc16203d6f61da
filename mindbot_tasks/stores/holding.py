"""Who holds what only one process may hold, such as a connection that a second login would throw out.

`mindbot:held:<name>` is the holder's mark and lives for `LIVES_S` seconds unless it is kept. While Redis is away
whoever holds goes on holding: nobody else can take it then.
"""

from __future__ import annotations

import secrets
from typing import Any

import redis
import structlog

from mindbot_tasks.stores import limiter
from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

LIVES_S = 15.0
KEEP_EVERY_S = 4.0

# free, or lost with Redis' memory: ours; else only if it is ours already
_KEEP = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Holding:
    """One name that this process wants for itself."""

    def __init__(self, name: str, *, lives_s: float = LIVES_S, client: Any = None) -> None:
        self._key = f"mindbot:held:{name}"
        self._mark = secrets.token_hex(8)
        self._lives_ms = int(lives_s * 1000)
        self._client = client

    def keep(self) -> bool | None:
        """Take it, or go on holding it, for `lives_s` from now. False: somebody else has it; None: Redis is away."""
        try:
            return bool(self._run(_KEEP, self._mark, self._lives_ms))
        except redis.RedisError as exc:
            log.warning("holding_unknown", name=self._key, reason=type(exc).__name__)
            return None

    def release(self) -> None:
        """Somebody else may have it at once. Never raises."""
        try:
            self._run(_RELEASE, self._mark)
        except redis.RedisError:
            log.debug("holding_not_released", name=self._key)  # it runs out by itself

    def _run(self, script: str, *args: object) -> Any:
        return limiter.script(script, self._client or get_redis())(keys=(self._key,), args=args)
