"""A card that grows with its answer: coalesced, inside the app's budget, one update after the other, never in the way.

The updates of all cards of a process are sent by a few threads, so a slow platform slows what people see and not what
the model says. A thousand answers at once need no more threads: the budget allows only some calls a second for an app.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, MindBotError, Rejected, Throttled
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.platforms.dingtalk.addresses import Address
from mindbot_tasks.platforms.dingtalk.cards import Cards

log = structlog.get_logger(__name__)

SENDERS = 4
CALL_S = 3.0
EVERY_CALLS = 8
#: a card whose updates fail so often in a row is left alone until the end
MAX_FAILURES = 3


class LiveCard:
    """The card of one message while its answer is made. Nothing here raises."""

    def __init__(
        self,
        cards: Cards,
        name: str,
        address: Address,
        deadline: Deadline,
        *,
        render: Callable[[str], str],
        may_show: Callable[[], bool],
        holdoff: Holdoff,
        every_s: float,
    ) -> None:
        self._cards = cards
        self._name = name
        self._address = address
        self._deadline = deadline
        self._render = render
        self._may_show = may_show
        self._holdoff = holdoff
        self._every_s = every_s
        self._changed = threading.Condition()
        self._state: Literal["idle", "queued", "running"] = "idle"
        self._ended = False
        self._text, self._shown = "", ""
        self._calls, self._stepped_at = EVERY_CALLS, float("-inf")
        self._opened = self._inputing = False
        self._failures = 0
        with self._changed:
            self._queue()  # the card is there while the model still thinks

    def __call__(self, text: str) -> None:
        """The whole text so far."""
        with self._changed:
            self._text = text
            self._calls += 1
            # how often, and not more often; the first words at once
            due = self._calls >= EVERY_CALLS and time.monotonic() - self._stepped_at >= self._every_s
            if due and self._state == "idle" and not self._ended:
                self._queue()

    def end(self) -> None:
        """Waits for the update that is under way, at most as long as a call may take."""
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: self._state != "running", timeout=2 * CALL_S)

    def _queue(self) -> None:
        self._state = "queued"
        try:
            _senders().submit(self._step)
        except RuntimeError:  # the interpreter is going down
            self._state, self._ended = "idle", True

    def _step(self) -> None:
        with self._changed:
            if self._ended:
                self._state = "idle"
                return
            self._state, text = "running", self._text
            self._calls, self._stepped_at = 0, time.monotonic()
        try:
            self._show(text)
        except Throttled:
            pass  # the next text comes soon enough
        except Rejected as exc:
            log.warning("dingtalk_card_not_shown", card=self._name, kind=exc.kind, code=exc.code)
            if not self._opened or exc.kind in ("quota", "auth"):
                self._holdoff.failed()  # others would hear the same
            self._ended = True
        except FarSideError as exc:
            self._failures += 1
            log.info("dingtalk_card_update_lost", card=self._name, kind=exc.kind, code=exc.code, status=exc.status)
            self._ended = self._ended or self._failures >= MAX_FAILURES
        except MindBotError:  # a Stopped: somebody else has the message, or nobody shall work any more
            self._ended = True
        except Exception as exc:  # noqa: BLE001 - the answer is worth more than its show
            log.error("dingtalk_card_crashed", card=self._name, error=type(exc).__name__)
            self._ended = True
        finally:
            with self._changed:
                self._state = "idle"
                self._changed.notify_all()

    def _show(self, text: str) -> None:
        if not self._opened:
            if not self._go():
                return
            self._cards.open(self._name, self._address, self._deadline.within(CALL_S))
            self._opened = True
            self._holdoff.worked()
            if not text:
                self._calls, self._stepped_at = EVERY_CALLS, float("-inf")  # the first words are shown at once
        shown = self._render(text)
        if not shown.strip() or shown == self._shown:
            return
        if self._cards.tells_state and not self._inputing:
            if not self._go():
                return
            self._cards.begin_input(self._name, self._deadline.within(CALL_S))
            self._inputing = True
        if not self._go():
            return
        self._cards.show(self._name, shown, self._deadline.within(CALL_S))
        self._shown = shown
        self._failures = 0

    def _go(self) -> bool:
        """Whether a call may be made now."""
        self._deadline.check()
        return not self._ended and self._may_show()


_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def _senders() -> ThreadPoolExecutor:
    """The threads of this process, started at the first need."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(SENDERS, thread_name_prefix="dingtalk-cards")
        return _pool


def _forget_after_fork() -> None:
    """The parent's threads are not ours."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
