"""What was uploaded for a piece of an answer, so that a second try of the piece uses the same upload.

`mindbot:upload:<name>` holds the vendor's id of the file and expires before the vendor forgets it.
"""

from __future__ import annotations

from typing import Any

import redis
import structlog

from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)


def find(name: str, *, client: Any = None) -> str:
    """The vendor's id, "" if there is none, or no Redis."""
    try:
        return str((client if client is not None else get_redis()).get(_key(name)) or "")
    except redis.RedisError as exc:
        log.warning("uploads_without_redis", error=type(exc).__name__)
        return ""


def remember(name: str, upload_id: str, *, keep_s: int, client: Any = None) -> None:
    """Keep the vendor's id for so long."""
    try:
        (client if client is not None else get_redis()).set(_key(name), upload_id, ex=keep_s)
    except redis.RedisError as exc:
        log.warning("uploads_without_redis", error=type(exc).__name__)


def _key(name: str) -> str:
    return f"mindbot:upload:{name}"
