"""Sending a message through again, from any stage it has been at."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from mindbot_tasks.core.errors import MindBotError
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.inbox import PICKUP_GRACE_MS
from mindbot_tasks.stores.tables import AnswerRow, MessageRow


class CannotReplay(MindBotError):
    """The message cannot be sent through again from that stage."""


_STATE_BEFORE = {Stage.CLASSIFY: State.RECEIVED, Stage.GENERATE: State.CLASSIFIED, Stage.REPLY: State.ANSWERED}


def rewind(connection: Connection, message_id: int, stage: Stage, *, deadline_ms: int, force: bool = False) -> None:
    """Put a message back to where `stage` begins, with a new deadline; run it in a transaction, then start the chain.

    A message that is still on its way is only rewound with `force`; whoever works on it then loses it. Raises CannotReplay.
    """
    if stage not in _STATE_BEFORE:
        raise CannotReplay(f"there is no replay from {stage}; choose classify, generate or reply")
    row = connection.execute(
        select(MessageRow.finished_at, MessageRow.classified_at, MessageRow.label).where(MessageRow.id == message_id)
    ).first()
    if row is None:
        raise CannotReplay(f"there is no message {message_id}")
    if row.finished_at is None and not force:
        raise CannotReplay(f"message {message_id} is still on its way; --force takes it from whoever works on it")
    if stage is Stage.GENERATE and row.classified_at is None:
        raise CannotReplay(f"message {message_id} was never classified; replay it from classify")
    has_answer = connection.execute(select(AnswerRow.provider).where(AnswerRow.message_id == message_id)).scalar()
    if stage is Stage.REPLY and has_answer in (None, "apology"):
        raise CannotReplay(f"message {message_id} has no answer to send; replay it from generate")
    values: dict[str, Any] = {
        "state": _STATE_BEFORE[stage].value,
        "verdict": None,
        "attempt": MessageRow.attempt + 1,
        "strikes": 0,
        "retries": 0,
        "lease_owner": None,
        "lease_until": None,
        "not_before": None,
        "last_error": None,
        "sent_parts": 0,
        "sent_id": None,
        "replying_at": None,
        "finished_at": None,
        "deadline_at": DB_NOW + deadline_ms,
        "wake_at": DB_NOW + PICKUP_GRACE_MS,
        "step": f"replayed from {stage}",
        "stepped_at": DB_NOW,
        "note": None,
    }
    connection.execute(update(MessageRow).where(MessageRow.id == message_id).values(**values))
