"""Access tokens that the whole fleet shares: fetched by one process, early, and dropped only by who saw them refused.

Redis: one GET per use. `mindbot:token:<name>` holds "<refresh at, ms>|<token>" and expires with the token;
`mindbot:token-lock:<name>` is held by the process that fetches; `mindbot:token-refused:<name>` says for a while that
the credentials were refused. When Redis is down each process keeps its own.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import redis
import structlog

from mindbot_tasks.core.errors import FarSideError, Rejected, Unavailable
from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

Fetch = Callable[[], tuple[str, float]]
"""Asks the vendor; returns the token and its lifetime in seconds. Raises a FarSideError."""

_FETCH_S = 15.0  # longest time a fetch may take before others stop to count on it
_POLL_S = 0.05
_REFUSED_S = 30.0  # wrong credentials are not tried again for so long
_REFUSED_SEEN_MS = 600_000  # and are shown for so long, unless a token is given

_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_DROP = """
local held = redis.call('GET', KEYS[1])
if held and string.sub(held, string.find(held, '|', 1, true) + 1) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""


Kind = Literal["good", "refused", "none"]
"""`none`: nobody has needed one lately; `refused`: nobody gets one."""


@dataclass(frozen=True, slots=True)
class State:
    """How the token of one app is."""

    kind: Kind
    left_s: float | None = None  #: until it ends


@dataclass(slots=True)
class _Kept:
    token: str = ""
    refresh_at: float = 0.0  # time.time()
    ends_at: float = 0.0
    refused: Rejected | None = None
    refused_until: float = 0.0


class Tokens:
    """A cache of tokens; one for each process is enough."""

    def __init__(self, client: redis.Redis | None = None) -> None:
        self._given = client
        self._kept: dict[str, _Kept] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, name: str, fetch: Fetch) -> str:
        """A token that should still be good. `fetch` is called by one caller of the whole fleet at a time.

        Raises what `fetch` raises; after a Rejected, everybody in this process gets it at once for half a minute.
        """
        kept = self._kept.get(name)
        if kept is not None and kept.refused is not None and time.monotonic() < kept.refused_until:
            raise _again(kept.refused)
        try:
            shared = self._read(name)
            if shared is not None and time.time() < shared.refresh_at:
                return shared.token
            return self._refresh_shared(name, fetch, shared)
        except redis.RedisError as exc:
            log.warning("tokens_without_redis", owner=name, error=type(exc).__name__)
            return self._refresh_alone(name, fetch)

    def drop(self, name: str, used_token: str) -> None:
        """The vendor refused `used_token`: forget it, unless it has been replaced already."""
        kept = self._kept.get(name)
        if kept is not None and kept.token == used_token:
            kept.token, kept.ends_at = "", 0.0
        try:
            self._redis.eval(_DROP, 1, _key(name), used_token)
        except redis.RedisError as exc:
            log.warning("tokens_without_redis", owner=name, error=type(exc).__name__)

    def states(self, names: Sequence[str]) -> dict[str, State] | None:
        """How these tokens are; None when Redis is away."""
        try:
            pipe = self._redis.pipeline(transaction=False)
            for name in names:
                pipe.pttl(_key(name))
                pipe.exists(_refused_key(name))
            answers = pipe.execute()
        except redis.RedisError as exc:
            log.debug("token_states_unknown", error=type(exc).__name__)
            return None
        found = {}
        for name, left_ms, refused in zip(names, answers[::2], answers[1::2], strict=True):
            kind: Kind = "good" if left_ms > 0 else "refused" if refused else "none"
            found[name] = State(kind, left_ms / 1000 if left_ms > 0 else None)
        return found

    @property
    def _redis(self) -> Any:
        return self._given if self._given is not None else get_redis()

    def _read(self, name: str) -> _Kept | None:
        held: str | None = self._redis.get(_key(name))
        refresh_ms, separator, token = (held or "").partition("|")
        if not separator or not token:
            return None
        return _Kept(token, int(refresh_ms) / 1000)

    def _refresh_shared(self, name: str, fetch: Fetch, old: _Kept | None) -> str:
        mine = secrets.token_hex(8)
        give_up_at = time.monotonic() + _FETCH_S
        while not self._redis.set(_lock_key(name), mine, nx=True, px=int(_FETCH_S * 1000)):
            if old is not None:
                return old.token  # still good; somebody is replacing it
            time.sleep(_POLL_S)
            shared = self._read(name)
            if shared is not None:
                return shared.token
            kept = self._kept.get(name)
            if kept is not None and kept.refused is not None and time.monotonic() < kept.refused_until:
                raise _again(kept.refused)
            if time.monotonic() > give_up_at:
                raise Unavailable("nobody could fetch an access token", kind="auth", provider=name)
        try:
            shared = self._read(name)  # it may have come between our look and our lock
            if shared is not None and time.time() < shared.refresh_at:
                return shared.token
            try:
                kept = self._fetch(name, fetch)
            except FarSideError as exc:
                if old is not None and exc.retryable:
                    log.warning("token_refresh_failed", owner=name, kind=exc.kind)
                    return old.token
                raise
            lifetime_ms = max(1000, int((kept.ends_at - time.time()) * 1000))
            with contextlib.suppress(redis.RedisError):  # we have it, others will have to fetch
                self._redis.delete(_refused_key(name))
                self._redis.set(_key(name), f"{int(kept.refresh_at * 1000)}|{kept.token}", px=lifetime_ms)
            return kept.token
        finally:
            with contextlib.suppress(redis.RedisError):  # it runs out by itself
                self._redis.eval(_UNLOCK, 1, _lock_key(name), mine)

    def _refresh_alone(self, name: str, fetch: Fetch) -> str:
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            kept = self._kept.get(name)
            if kept is not None:
                if kept.refused is not None and time.monotonic() < kept.refused_until:
                    raise _again(kept.refused)
                if kept.token and time.time() < kept.refresh_at:
                    return kept.token
            return self._fetch(name, fetch).token

    def _fetch(self, name: str, fetch: Fetch) -> _Kept:
        try:
            token, lifetime_s = fetch()
        except Rejected as exc:
            self._kept[name] = _Kept(refused=exc, refused_until=time.monotonic() + _REFUSED_S)
            with contextlib.suppress(redis.RedisError):
                self._redis.set(_refused_key(name), exc.code or str(exc.status or ""), px=_REFUSED_SEEN_MS)
            raise
        now = time.time()
        # early enough that nobody ever holds one that dies in his hands
        early_s = min(300.0, lifetime_s * 0.1)
        kept = _Kept(token, now + lifetime_s - early_s, now + lifetime_s)
        self._kept[name] = kept
        log.info("token_fetched", owner=name, lifetime_s=round(lifetime_s))
        return kept


def _key(name: str) -> str:
    return f"mindbot:token:{name}"


def _lock_key(name: str) -> str:
    return f"mindbot:token-lock:{name}"


def _refused_key(name: str) -> str:
    return f"mindbot:token-refused:{name}"


def _again(exc: Rejected) -> Rejected:
    """A new exception for each raise: a shared one would collect the tracebacks of all threads."""
    return Rejected(str(exc), kind=exc.kind, provider=exc.provider, status=exc.status, code=exc.code)


_tokens = Tokens()


def get(name: str, fetch: Fetch) -> str:
    """See `Tokens.get`."""
    return _tokens.get(name, fetch)


def drop(name: str, used_token: str) -> None:
    """See `Tokens.drop`."""
    _tokens.drop(name, used_token)


def states(names: Sequence[str]) -> dict[str, State] | None:
    """See `Tokens.states`."""
    return _tokens.states(names)
