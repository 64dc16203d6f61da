"""What people can watch while it happens, by Redis publish/subscribe: states, growing text; nothing that must last."""

from __future__ import annotations

import threading
import time

import orjson
import redis
import structlog

from mindbot_tasks.model.message import State
from mindbot_tasks.stores.redis import get_redis

log = structlog.get_logger(__name__)

#: platforms whose askers watch
_WATCHED = frozenset({"chat"})


def channel(message_id: int) -> str:
    """Where the progress of a message is told."""
    return f"mindbot:live:{message_id}"


def _tell(message_id: int, event: dict[str, str]) -> None:
    try:
        get_redis().publish(channel(message_id), orjson.dumps(event))
    except redis.RedisError as exc:
        log.debug("live_update_lost", reason=type(exc).__name__)


def tell_state(platform: str, message_id: int, state: State) -> None:
    """The message has reached this state."""
    if platform in _WATCHED:
        _tell(message_id, {"type": "state", "state": str(state)})


class LiveText:
    """Tells the text so far, coalesced: every 8 calls or 300 ms, whichever is later."""

    def __init__(self, message_id: int, *, every_calls: int = 8, every_s: float = 0.3) -> None:
        self._message_id = message_id
        self._every_calls = every_calls
        self._every_s = every_s
        self._lock = threading.Lock()
        self._calls = 0
        self._told_at = float("-inf")

    def __call__(self, text: str) -> None:
        with self._lock:
            self._calls += 1
            now = time.monotonic()
            first = self._told_at == float("-inf")
            if not first and (self._calls < self._every_calls or now - self._told_at < self._every_s):
                return
            self._calls, self._told_at = 0, now
        _tell(self._message_id, {"type": "text", "text": text})

    def end(self) -> None:
        """Nothing is ever under way: each text is told before the call returns."""
