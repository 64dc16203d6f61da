"""Fixtures: the real Redis of the session, empty; the same without a clock of its own; and none at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from mindbot_tasks.stores import breaker, keys_aside, limiter, tokens
from tests.redis_server import redis_server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    with redis_server() as url:
        yield url


def _use(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (limiter, tokens, keys_aside):
        monkeypatch.setattr(module, "get_redis", lambda: client)
    monkeypatch.setattr(limiter, "_scripts", {})
    monkeypatch.setattr(limiter, "local", limiter.LocalLimits())
    monkeypatch.setattr(breaker, "local", limiter.local)
    monkeypatch.setattr(breaker, "local_breakers", breaker.LocalBreakers())
    monkeypatch.setattr(breaker, "_successes", {})


@pytest.fixture
def shared(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an empty Redis, which the stores use too."""
    client: Any = redis.Redis.from_url(redis_url, decode_responses=True)
    client.flushall()
    _use(client, monkeypatch)
    yield client
    client.close()


#: in front of a script: what it keeps does not run out while a slow machine is between two calls of the test
_UNHURRIED = """
local real = redis
local redis = {call = function(command, ...)
  local given = {...}
  if command == 'PEXPIRE' then return 1 end
  if command == 'SET' and string.find(given[1], '^mindbot:limit:') then return real.call('SET', given[1], given[2]) end
  return real.call(command, ...)
end}
"""


class _Unhurried(redis.Redis):
    def register_script(self, script: Any) -> Any:
        return super().register_script(_UNHURRIED + script)


@pytest.fixture
def timeless(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """As `shared`, for tests that say themselves what time it is: limits do not run out by the clock of Redis."""
    client: Any = _Unhurried.from_url(redis_url, decode_responses=True)
    client.flushall()
    _use(client, monkeypatch)
    yield client
    client.close()


@pytest.fixture
def no_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens where Redis should be."""
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    _use(redis.Redis.from_url("unix:///nonexistent/redis.sock", retry=Retry(NoBackoff(), 0)), monkeypatch)
