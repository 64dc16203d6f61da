"""Holds what a platform will not bring again until the ledger has it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from mindbot_tasks.core import telemetry
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.model.message import Message

log = structlog.get_logger(__name__)

#: messages in memory while the database is away; the newest ones beyond that are lost
MOST = 2000
_RETRY_S = 1.0

Record = Callable[[Sequence[Message]], Callable[[], object]]
"""`intake.record`: returns what starts the chains of the messages, once they are committed."""


class Mailbag:
    """Records messages one after the other in a thread of its own; `put` never waits.

    Another thread starts their chains: a broker that hangs must not keep the next message in memory.
    """

    def __init__(
        self,
        name: str,
        record: Record,
        *,
        on_received: Callable[[Message], None] = lambda _: None,
        most: int = MOST,
        retry_s: float = _RETRY_S,
    ) -> None:
        self._record_them = record
        self._on_received = on_received
        self._retry_s = retry_s
        self._queue: queue.Queue[tuple[Message, float]] = queue.Queue(most)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mailbag of {name}", daemon=True)
        self._recorded: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread.start()
        threading.Thread(target=self._start_chains, name=f"starter of {name}", daemon=True).start()

    def put(self, message: Message) -> bool:
        """False: there is no room for it any more."""
        try:
            self._queue.put_nowait((message, time.monotonic()))
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
        self._recorded.put(None)
        left = self._queue.unfinished_tasks
        if self._thread.is_alive() and left:
            log.error("messages_lost", reason="the database did not come back in time", messages=left)
            return left
        return 0

    def _run(self) -> None:
        while True:
            try:
                message, came_at = self._queue.get(timeout=0.1)
            except queue.Empty:
                if self._closing.is_set():
                    return
                continue
            self._record(message, came_at)
            self._queue.task_done()

    def _record(self, message: Message, came_at: float) -> None:
        while True:
            waited_s = time.monotonic() - came_at
            try:
                with telemetry.arriving(f"receive {message.platform}", "consumer", waited_s=waited_s):
                    start = self._record_them([message])
            except DatabaseUnavailable as exc:
                log.warning("intake_waits_for_the_database", reason=str(exc), waiting=self._queue.qsize())
                time.sleep(self._retry_s)
            except Exception as exc:  # noqa: BLE001 - those behind it must not wait for ever
                log.error("message_not_recorded", error=type(exc).__name__, platform=message.platform)
                return
            else:
                self._recorded.put(start)
                self._on_received(message)
                return

    def _start_chains(self) -> None:
        while True:
            start = self._recorded.get()
            if start is None:
                return
            try:
                start()
            except Exception as exc:  # noqa: BLE001 - the sweeper starts it; those behind it must not wait for that
                log.error("chain_not_started", error=type(exc).__name__)
