"""Messages that were twice in the hands of workers that died: what the ledger knows of them, and who may take them.

All that a dead worker held has lost a try, guilty or not. So the next try of such a message is made in a process of its
own (`mindbot_tasks/alone.py`), and the worker that started this process tells the ledger if it died. Deaths of which
nobody tells may have been those of a whole machine, and condemn nobody before there are many.
docs/decisions/0012-suspects-run-alone.md.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, case, func, literal, or_, select, update

from mindbot_tasks.stores.clock import this_moment
from mindbot_tasks.stores.tables import MessageRow, WorkerRow

#: a message that took its worker down this often is not tried again
MAX_STRIKES = 3
#: nor is one whose workers died so often, whatever they died of
MOST_DEATHS = 6
#: the `last_error` of a message whose worker died, or left without being able to stop its work
WORKER_LOST = "worker lost"
#: and of one whose worker had nothing else in hand
DIED_ALONE = "worker lost: it had only this message"
#: so long the worker that has started such a process may take to tell of its death
WITNESS_MS = 3_000

_LOST = func.coalesce(MessageRow.last_error, "") == WORKER_LOST
_IS_SUSPECT = and_(MessageRow.strikes >= MAX_STRIKES - 1, _LOST)


def is_suspect(strikes: int, last_error: str | None) -> bool:
    """It has one try left, and lost another by a death."""
    return strikes >= MAX_STRIKES - 1 and last_error == WORKER_LOST


def takeable(*, alone: bool, only_here: bool) -> Any:
    """The condition of a claim. alone: by a process that has nothing else in hand; only_here: no other process can do
    this, so it is tried among others three times."""
    if alone:
        return or_(MessageRow.strikes < MAX_STRIKES, and_(_LOST, MessageRow.strikes < MOST_DEATHS))
    few = MessageRow.strikes < MAX_STRIKES
    return few if only_here else and_(few, ~_IS_SUSPECT)


def after_death(at: Any) -> dict[str, Any]:
    """What is written into the messages of a worker that is gone, beside that they are free.

    An apology is nothing to suspect: its message has been given up, and keeps the reason.
    """
    answering = MessageRow.verdict.is_(None)
    tried_alone = answering & _LOST & (MessageRow.strikes >= MAX_STRIKES)
    return {
        "last_error": case((answering, WORKER_LOST), else_=MessageRow.last_error),
        "wake_at": case((tried_alone, at + WITNESS_MS), else_=at),
    }


def error_after(error: Any, strikes: Any) -> Any:
    """What a try that ended in order makes of `last_error`: who only waits for a limit stays under suspicion."""
    return case((and_(_LOST, strikes >= MAX_STRIKES - 1), literal(WORKER_LOST)), else_=error)


def last_attempt(connection: Connection, message_id: int, *, now: int | None = None) -> int | None:
    """The number of the last try of a suspect that nobody has in hand; None: it is none, or is being tried."""
    at = this_moment(now)
    return connection.execute(
        select(MessageRow.attempt).where(
            MessageRow.id == message_id,
            _IS_SUSPECT,
            MessageRow.lease_owner.is_(None) | (MessageRow.lease_until < at),
            MessageRow.verdict.is_(None),
            MessageRow.finished_at.is_(None),
        )
    ).scalar()


def condemn(connection: Connection, message_id: int, attempt: int, *, worker_name: str, now: int | None = None) -> bool:
    """This worker, which had nothing but this attempt in hand, has died; the sweeper gives the message up.

    False: the message has moved on, or is in other hands.
    """
    at = this_moment(now)
    changed = connection.execute(
        update(MessageRow)
        .where(
            MessageRow.id == message_id,
            MessageRow.attempt == attempt,
            MessageRow.strikes >= MAX_STRIKES,
            MessageRow.lease_owner.is_(None)
            | MessageRow.lease_owner.in_(select(WorkerRow.id).where(WorkerRow.name == worker_name)),
            MessageRow.verdict.is_(None),
            MessageRow.finished_at.is_(None),
        )
        .values(
            lease_owner=None,
            lease_until=None,
            last_error=DIED_ALONE,
            wake_at=at,
            step=WORKER_LOST,
            stepped_at=at,
            note=DIED_ALONE,
        )
    )
    return changed.rowcount == 1
