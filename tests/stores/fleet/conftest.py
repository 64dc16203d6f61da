"""A real Redis, and none."""

from tests.stores.fleet.redis_fixtures import no_redis, redis_url, shared, timeless

__all__ = ["no_redis", "redis_url", "shared", "timeless"]
