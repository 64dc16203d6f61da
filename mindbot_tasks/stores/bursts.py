"""Several messages that a person sends in quick succession become one question with one answer.

The first one leads (its `merged_into` is itself) and waits until the window is over, in the ledger (`not_before`), so
that it survives every kill. Each further one adds its words to the first and ends together with it, by a trigger.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from mindbot_tasks.model.message import State
from mindbot_tasks.stores.claims import is_follower, wake_by
from mindbot_tasks.stores.clock import earlier, this_moment
from mindbot_tasks.stores.tables import MessageRow

#: so many windows at the most until the answer is begun, however long somebody goes on
MOST_WINDOWS = 4
_MOST_PARTS = 200


def join(connection: Connection, message_id: int, *, window_ms: int, now: int | None = None) -> int | None:
    """Let a message that was just recorded join the open burst of its sender; returns the first message of it.

    None: there is none that still waits, so this one leads. Run it in the transaction that has recorded the message.
    """
    at = this_moment(now)
    this = connection.execute(
        select(MessageRow.conversation_id, MessageRow.sender_ref, MessageRow.text, MessageRow.parts).where(
            MessageRow.id == message_id
        )
    ).one()
    waiting = (
        MessageRow.finished_at.is_(None),
        MessageRow.state == State.RECEIVED.value,
        MessageRow.lease_owner.is_(None),
        MessageRow.verdict.is_(None),
        MessageRow.attempt == 0,
        MessageRow.not_before > at,
        ~is_follower(),
    )
    first = connection.execute(
        select(MessageRow.id, MessageRow.text, MessageRow.parts)
        .where(
            MessageRow.conversation_id == this.conversation_id,
            MessageRow.sender_ref == this.sender_ref,
            MessageRow.id < message_id,
            *waiting,
        )
        .order_by(MessageRow.id.desc())
        .limit(1)
        .with_for_update(of=MessageRow)
    ).first()
    if first is None or len(first.parts) + len(this.parts) > _MOST_PARTS:
        return None
    until = earlier(at + window_ms, MessageRow.received_at + MOST_WINDOWS * window_ms)
    values: dict[str, Any] = {
        "merged_into": first.id,
        "text": "\n".join(text for text in (first.text, this.text) if text),
        "parts": [*first.parts, *this.parts],
        "not_before": until,
        "wake_at": wake_by(until),
        "step": "received",  # as before: a start of its chain was published
        "stepped_at": at,
        "note": f"goes on with #{message_id}",
    }
    joined = connection.execute(update(MessageRow).where(MessageRow.id == first.id, *waiting).values(**values))
    if joined.rowcount != 1:
        return None
    connection.execute(
        update(MessageRow)
        .where(MessageRow.id == message_id)
        .values(
            merged_into=first.id,
            not_before=None,
            # only looked at if all else fails: the end of the first one ends this one, too
            wake_at=MessageRow.deadline_at,
            step="merged",
            stepped_at=at,
            note=f"goes along with #{first.id}",
        )
    )
    return int(first.id)
