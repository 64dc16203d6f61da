"""A message while it is on its way, as server-sent events: every change of state, and the answer as it grows.

The ledger is what counts: it is looked at every second whatever Redis says, so a lost notice delays an event and loses
none.
A stream holds a thread of the web process, so there are only so many of them, and each ends after ten minutes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
import redis
import structlog

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.stores import live
from mindbot_tasks.stores.redis import get_redis
from webhooks.api.models import MessageView
from webhooks.markdown import to_html

log = structlog.get_logger(__name__)

LONGEST_S: Final = 600.0
LOOK_EVERY_S: Final = 1.0
KEEP_ALIVE_S: Final = 5.0
#: what browsers wait before they come back after a cut
_RETRY_MS: Final = 2000


class Places:
    """How many streams this process serves at once."""

    def __init__(self, count: int) -> None:
        self._free = threading.BoundedSemaphore(count)

    def take(self) -> Callable[[], None] | None:
        """A way to give the place back, once; None when all are taken."""
        if not self._free.acquire(blocking=False):
            return None
        given_back = threading.Lock()

        def give_back() -> None:
            if given_back.acquire(blocking=False):
                self._free.release()

        return give_back


class _Notices:
    """What the stages tell about one message over Redis; nothing, at the same pace, while Redis is away."""

    def __init__(self, message_id: int) -> None:
        self._channel = live.channel(message_id)
        self._listener: Any = None
        self._subscribe()

    def _subscribe(self) -> None:
        listener = get_redis().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        try:
            listener.subscribe(self._channel)
        except redis.RedisError:
            listener.close()
            return
        self._listener = listener

    def wait(self, timeout_s: float) -> dict[str, Any] | None:
        """The next notice, or None after `timeout_s` seconds without one."""
        if self._listener is None:
            time.sleep(timeout_s)
            self._subscribe()
            return None
        try:
            notice = self._listener.get_message(timeout=timeout_s)
            return orjson.loads(notice["data"]) if notice else None
        except (redis.RedisError, orjson.JSONDecodeError) as exc:
            log.info("live_notices_lost", reason=type(exc).__name__)
            self.close()
            return None

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None


def stream(message_id: int, show: Callable[[], MessageView | None], *, html: bool) -> Iterator[bytes]:
    """The events of one message: `message` (the whole) at every change, `text` while it grows, `done` at the end."""
    ends = time.monotonic() + LONGEST_S
    told: object = None
    text = ""
    looked_at = spoke_at = float("-inf")
    notices = _Notices(message_id)  # before the first look, so that nothing falls between
    yield f"retry: {_RETRY_MS}\n\n".encode()
    try:
        while time.monotonic() < ends:
            notice: dict[str, Any] | None = None
            if looked_at > float("-inf"):
                notice = notices.wait(LOOK_EVERY_S)
            if notice is not None and notice.get("type") == "text" and notice["text"] != text:
                text = str(notice["text"])
                yield _event("text", {"text": text, "html": to_html(text)} if html else {"text": text})
                spoke_at = time.monotonic()
            now = time.monotonic()
            if notice is None or notice.get("type") == "state" or now - looked_at >= LOOK_EVERY_S:
                looked_at = now
                try:
                    seen = show()
                except DatabaseUnavailable:
                    yield b": the database does not answer\n\n"
                    continue
                if seen is None:  # purged while somebody watched
                    break
                key = (seen.state, len(seen.timeline), seen.answer is not None)
                if key != told:
                    told = key
                    yield _event("done" if seen.finished else "message", seen)
                    spoke_at = now
                if seen.finished:
                    return
            if now - spoke_at >= KEEP_ALIVE_S:
                yield b": still here\n\n"
                spoke_at = now
        yield _event("timeout", {"after_s": LONGEST_S})
    finally:
        notices.close()


def _event(name: str, data: MessageView | dict[str, Any]) -> bytes:
    body = data.model_dump_json().encode() if isinstance(data, MessageView) else orjson.dumps(data)
    return b"event: " + name.encode() + b"\ndata: " + body + b"\n\n"
