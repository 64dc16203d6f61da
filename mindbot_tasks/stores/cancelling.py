"""Stopping answers that somebody no longer wants: what `/stop` changes in the ledger, and how workers hear of it.

The ledger decides: an answer that is being made is taken from its worker at once, so nothing of it will be sent. That
its worker hears of it (Redis publish/subscribe) only ends the call of the model, which nobody needs any more.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import redis
import structlog
from sqlalchemy import Connection, case, null, select, update

from mindbot_tasks.core.errors import Cancelled
from mindbot_tasks.model.message import UNASKED, State, Verdict
from mindbot_tasks.stores.claims import is_follower
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.clock import this_moment
from mindbot_tasks.stores.inbox import PICKUP_GRACE_MS
from mindbot_tasks.stores.redis import get_redis
from mindbot_tasks.stores.tables import MessageRow

log = structlog.get_logger(__name__)

CHANNEL = "mindbot:cancel"
#: of cancelled messages, the attempts that are over, for claims that are being made at this very moment
_REMEMBERED = 2_000
_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Stopped:
    """A message that will not be answered, or not completely."""

    message_id: int
    attempt: int  #: claims with a smaller number are over
    late: bool  #: it was being sent already


def cancel_before(
    connection: Connection, message_id: int, *, sender_ref: str | None, now: int | None = None
) -> list[Stopped]:
    """Give up what is unfinished before this message in its conversation; run it in the transaction that records it.

    sender_ref: only messages of this person. What is being sent at this moment is only marked: its worker stops between
    two pieces. Nothing happens when the message itself has ended already, as for a late duplicate of it.
    """
    at = this_moment(now)
    this = (
        select(MessageRow.conversation_id, MessageRow.finished_at)
        .where(MessageRow.id == message_id)
        .correlate(None)
        .subquery()
    )
    sending = (MessageRow.state == State.REPLYING.value) & MessageRow.lease_owner.is_not(None)

    def unless_sending(value: object, column: object) -> object:
        return case((sending, column), else_=value)

    statement = (
        update(MessageRow)
        .where(
            MessageRow.conversation_id == select(this.c.conversation_id).scalar_subquery(),
            MessageRow.id < message_id,
            MessageRow.finished_at.is_(None),
            MessageRow.cancelled_at.is_(None),
            MessageRow.verdict.is_(None),
            ~is_follower(),
            MessageRow.label.is_distinct_from(UNASKED),  # nobody waits for it, so nobody stops it
            select(this.c.finished_at).scalar_subquery().is_(None),
        )
        .values(
            cancelled_at=at,
            verdict=unless_sending(Verdict.CANCELLED.value, MessageRow.verdict),
            attempt=unless_sending(MessageRow.attempt + 1, MessageRow.attempt),
            strikes=unless_sending(0, MessageRow.strikes),
            retries=unless_sending(0, MessageRow.retries),
            lease_owner=unless_sending(null(), MessageRow.lease_owner),
            lease_until=unless_sending(null(), MessageRow.lease_until),
            not_before=unless_sending(null(), MessageRow.not_before),
            wake_at=unless_sending(at + PICKUP_GRACE_MS, MessageRow.wake_at),
            step=unless_sending(f"given up: {Verdict.CANCELLED}", "stop asked for"),
            stepped_at=at,
            note=f"stopped by #{message_id}",
        )
        .returning(MessageRow.id, MessageRow.attempt, MessageRow.verdict)
    )
    if sender_ref is not None:
        statement = statement.where(MessageRow.sender_ref == cut(sender_ref))
    found = [
        Stopped(row.id, row.attempt + (row.verdict is None), late=row.verdict is None)
        for row in connection.execute(statement)
    ]
    # what the confirmation will say
    outcome = {"stopped": len(found), "late": sum(one.late for one in found)}
    connection.execute(
        update(MessageRow)
        .where(MessageRow.id == message_id, MessageRow.finished_at.is_(None), MessageRow.classification.is_(None))
        .values(classification=outcome)
    )
    return sorted(found, key=lambda one: one.message_id)


def tell(stopped: Sequence[Stopped]) -> None:
    """Let all workers know."""
    try:
        get_redis().publish(CHANNEL, orjson.dumps([[one.message_id, one.attempt] for one in stopped]))
    except redis.RedisError as exc:
        log.warning("cancel_not_told", reason=type(exc).__name__)


class Cancellations:
    """What this process knows: which messages it works on, and which attempts are over."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over: OrderedDict[int, int] = OrderedDict()
        self._running: dict[int, int] = {}

    def note(self, message_id: int, attempt: int) -> None:
        """Claims of this message with a smaller attempt are over."""
        with self._lock:
            self._over[message_id] = max(attempt, self._over.get(message_id, 0))
            while len(self._over) > _REMEMBERED:
                self._over.popitem(last=False)

    def began(self, message_id: int, attempt: int) -> None:
        self._running[message_id] = attempt

    def ended(self, message_id: int) -> None:
        self._running.pop(message_id, None)

    @property
    def running(self) -> dict[int, int]:
        """Messages in the hands of this process, with the attempt of each."""
        return dict(self._running)

    def forget(self) -> None:
        """Start anew; for tests, whose ledgers begin to count anew."""
        with self._lock:
            self._over.clear()
            self._running.clear()

    def over(self, message_id: int, attempt: int) -> bool:
        """Whether somebody has stopped this answer."""
        return self._over.get(message_id, 0) > attempt

    def check(self, message_id: int, attempt: int) -> None:
        """Raises Cancelled when somebody has stopped this answer."""
        if self.over(message_id, attempt):
            raise Cancelled("somebody asked for this answer to be stopped")

    def compare(self, connection: Connection) -> None:
        """Look the running ones up in the ledger: for when Redis cannot tell."""
        running = self.running
        if not running:
            return
        rows = connection.execute(
            select(MessageRow.id, MessageRow.attempt, MessageRow.cancelled_at).where(MessageRow.id.in_(running))
        )
        for row in rows:
            if row.cancelled_at is not None:
                self.note(row.id, max(row.attempt, running[row.id] + 1))


here = Cancellations()


class Ear(threading.Thread):
    """Listens for cancellations; connects again for as long as it is not closed."""

    def __init__(self) -> None:
        super().__init__(name="cancellations", daemon=True)
        self.hears = False  #: False: somebody must look into the ledger instead
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()

    def run(self) -> None:
        while not self._closed.is_set():
            try:
                self._listen()
            except (redis.RedisError, OSError) as exc:
                log.debug("cancellations_unheard", reason=type(exc).__name__)
            except Exception:
                # a thread that dies in silence would leave every later /stop to the heartbeat
                log.exception("cancellations_failed")
            self.hears = False
            self._closed.wait(_AGAIN_S)

    def _listen(self) -> None:
        client: Any = get_redis()
        with client.pubsub() as channel:
            channel.subscribe(CHANNEL)
            while not self._closed.is_set():
                event = channel.get_message(timeout=0.9)
                if event is None:
                    continue
                if event["type"] == "subscribe":
                    self.hears = True
                elif event["type"] == "message":
                    for message_id, attempt in _read(event["data"]):
                        here.note(message_id, attempt)


def _read(data: str | bytes) -> list[tuple[int, int]]:
    try:
        return [(int(message_id), int(attempt)) for message_id, attempt in orjson.loads(data)]
    except (ValueError, TypeError):
        log.warning("cancellation_unreadable")
        return []
