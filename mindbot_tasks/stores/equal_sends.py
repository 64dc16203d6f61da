"""May a piece go out now, and has somebody else just sent the very same: one round trip for both.

For platforms that drop what equals something sent a while ago (decision record 0006). `mindbot:equal:<name>` holds the
key of the first piece with that content, as long as the platform remembers it.
"""

from __future__ import annotations

from typing import Any

import redis
import structlog

from mindbot_tasks.stores import limiter
from mindbot_tasks.stores.limiter import NOW_LUA, TAKE_LUA, Rate, limit_key, pause_key, script

log = structlog.get_logger(__name__)

_ADMIT = (
    NOW_LUA
    + TAKE_LUA
    + """
local wait = paused(KEYS[2])
if wait <= 0 then wait = take(KEYS[1], now_us(''), tonumber(ARGV[1]), tonumber(ARGV[2])) end
if wait > 0 then return {string.format('%.0f', math.ceil(wait)), ''} end
local first = redis.call('GET', KEYS[3])
if not first then
  first = ARGV[3]
  redis.call('SET', KEYS[3], first, 'PX', ARGV[4])
end
return {'0', first}
"""
)


def admit(
    bucket: str, rate: Rate, content: str, key: str, *, remembered_s: float, client: Any = None
) -> tuple[float, str]:
    """Seconds to stay away, 0 for "go"; and the key of the piece that had this content first, `key` if it is ours.

    Without Redis every piece counts as the first: an equal answer may then be dropped, but none is shown twice.
    """
    keys = (limit_key(bucket), pause_key(bucket), f"mindbot:equal:{content}")
    try:
        wait_us, first = script(_ADMIT, client)(
            keys=keys, args=(rate.interval_us, rate.burst, key, int(remembered_s * 1000))
        )
    except redis.RedisError as exc:
        log.warning("limits_without_redis", limit=bucket, error=type(exc).__name__)
        return limiter.local.take(bucket, rate, limiter.monotonic_us()) / 1_000_000, key
    return int(wait_us) / 1_000_000, str(first or key)
