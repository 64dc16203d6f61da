"""The Redis connection of this process: limits, breakers, tokens and live text; nothing that must survive."""

from __future__ import annotations

import functools

import redis

from mindbot_tasks.core.settings import get_settings


@functools.cache
def get_redis() -> redis.Redis:
    """A pooled client; answers are str. Every call gives up after about a second."""
    return redis.Redis.from_url(
        get_settings().redis_url.get_secret_value(),
        decode_responses=True,
        socket_connect_timeout=0.5,
        socket_timeout=1.0,
        health_check_interval=10,
    )
