"""Sending a message through again, from any stage it has been at."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, case, null, select, update

from mindbot_tasks.core.errors import MindBotError
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.stores.claims import APOLOGY_MARGIN_MS
from mindbot_tasks.stores.clock import earlier, this_moment
from mindbot_tasks.stores.inbox import PICKUP_GRACE_MS
from mindbot_tasks.stores.tables import AnswerRow, MessageRow


class CannotReplay(MindBotError):
    """The message cannot be sent through again from that stage."""


_STATE_BEFORE = {Stage.CLASSIFY: State.RECEIVED, Stage.GENERATE: State.CLASSIFIED, Stage.REPLY: State.ANSWERED}


def rewind(
    connection: Connection,
    message_id: int,
    stage: Stage,
    *,
    deadline_ms: int,
    force: bool = False,
    now: int | None = None,
) -> tuple[str, str]:
    """Put a message back to where `stage` begins, with a new deadline; run it in a transaction, then start the chain.

    A message that is still on its way is only rewound with `force`; whoever works on it then loses it. So is one behind
    which a later message of its conversation is being worked on: both would be answered at once.

    Returns its platform and bot. Raises CannotReplay.
    """
    if stage not in _STATE_BEFORE:
        raise CannotReplay(f"there is no replay from {stage}; choose classify, generate or reply")
    row = connection.execute(
        select(
            MessageRow.finished_at,
            MessageRow.classified_at,
            MessageRow.conversation_id,
            MessageRow.attempt,
            MessageRow.platform,
            MessageRow.bot,
        ).where(MessageRow.id == message_id)
    ).first()
    if row is None:
        raise CannotReplay(f"there is no message {message_id}")
    if row.finished_at is None and not force:
        raise CannotReplay(f"message {message_id} is still on its way; --force takes it from whoever works on it")
    if stage is Stage.GENERATE and row.classified_at is None:
        raise CannotReplay(f"message {message_id} was never classified; replay it from classify")
    at = this_moment(now)
    overtaken = connection.execute(
        select(MessageRow.id).where(
            MessageRow.conversation_id == row.conversation_id,
            MessageRow.id > message_id,
            MessageRow.finished_at.is_(None),
            MessageRow.lease_owner.is_not(None),
            MessageRow.lease_until >= at,
        )
    ).scalar()
    if overtaken is not None and not force:
        raise CannotReplay(
            f"message {overtaken} of the same conversation is being answered; replay when it has ended, or with --force"
        )
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
        "cancelled_at": None,
        # one that went along with another gets an answer of its own now; one that leads still ends the others
        "merged_into": case((MessageRow.merged_into == MessageRow.id, MessageRow.merged_into), else_=None),
        "finished_at": None,
        "deadline_at": at + deadline_ms,
        "wake_at": earlier(at + PICKUP_GRACE_MS, at + deadline_ms - APOLOGY_MARGIN_MS),
        "step": f"replayed from {stage}",
        "stepped_at": at,
        "note": None,
    }
    # times of steps that are still to come
    if stage in (Stage.CLASSIFY, Stage.GENERATE):
        values["answered_at"] = None
    if stage is Stage.CLASSIFY:
        values["classified_at"] = None
        values["label"], values["classification"] = None, null()
    changed = connection.execute(
        update(MessageRow)
        .where(MessageRow.id == message_id, MessageRow.attempt == row.attempt)
        .where(MessageRow.finished_at.is_(None) if row.finished_at is None else MessageRow.finished_at.is_not(None))
        .values(**values)
    )
    if changed.rowcount != 1:
        raise CannotReplay(f"message {message_id} has just been changed by somebody else; look again")
    return row.platform, row.bot
