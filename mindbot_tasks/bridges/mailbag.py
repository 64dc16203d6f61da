"""Holds what a platform will not bring again until the ledger has it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.model.message import Message

log = structlog.get_logger(__name__)

#: messages in memory while the database is away; the newest ones beyond that are lost
MOST = 2000
_RETRY_S = 1.0

Receive = Callable[[Sequence[Message]], object]


class Mailbag:
    """Records messages one after the other in a thread of its own; `put` never waits."""

    def __init__(
        self,
        name: str,
        receive: Receive,
        *,
        on_received: Callable[[Message], None] = lambda _: None,
        most: int = MOST,
        retry_s: float = _RETRY_S,
    ) -> None:
        self._receive = receive
        self._on_received = on_received
        self._retry_s = retry_s
        self._queue: queue.Queue[Message | None] = queue.Queue(most)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mailbag of {name}", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> bool:
        """False: there is no room for it any more."""
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            log.error("message_lost", reason="too many wait for the database", platform=message.platform)
            return False
        return True

    def close(self, within_s: float) -> int:
        """Record what is left; returns how many could not be."""
        self._closing.set()
        ends_at = time.monotonic() + within_s
        while self._thread.is_alive() and time.monotonic() < ends_at:
            self._thread.join(0.05)
        left = self._queue.qsize() + (1 if self._thread.is_alive() else 0)
        if self._thread.is_alive() and left:
            log.error("messages_lost", reason="the database did not come back in time", messages=left)
            return left
        return 0

    def _run(self) -> None:
        while True:
            try:
                message = self._queue.get(timeout=0.1)
            except queue.Empty:
                if self._closing.is_set():
                    return
                continue
            if message is not None:
                self._record(message)

    def _record(self, message: Message) -> None:
        while True:
            try:
                self._receive([message])
            except DatabaseUnavailable as exc:
                log.warning("intake_waits_for_the_database", reason=str(exc), waiting=self._queue.qsize())
                time.sleep(self._retry_s)
            except Exception as exc:  # noqa: BLE001 - those behind it must not wait for ever
                log.error("message_not_recorded", error=type(exc).__name__, platform=message.platform)
                return
            else:
                self._on_received(message)
                return
