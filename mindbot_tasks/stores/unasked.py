"""A message that nobody asked for: it begins where answers are ready, so that delivery is the same as theirs."""

from __future__ import annotations

from sqlalchemy import Connection, insert, update

from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import UNASKED, Message, State
from mindbot_tasks.stores import inbox
from mindbot_tasks.stores.cleaning import clean, clean_json
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.inbox import Recorded
from mindbot_tasks.stores.tables import AnswerRow, MessageRow


def record_once(connection: Connection, message: Message, said: Answer, *, deadline_ms: int) -> Recorded:
    """Put it into the ledger as answered; once for each `external_id`. Run it in a transaction."""
    row = inbox.record_once(connection, message, deadline_ms=deadline_ms)
    if not row.fresh:
        return row
    connection.execute(
        update(MessageRow)
        .where(MessageRow.id == row.message_id)
        .values(state=State.ANSWERED.value, answered_at=DB_NOW, label=UNASKED, step="answered", stepped_at=DB_NOW)
    )
    connection.execute(
        insert(AnswerRow).values(
            message_id=row.message_id,
            text=clean(said.text),
            parts=clean_json([{"kind": p.kind, "text": p.text, "data": dict(p.data)} for p in said.parts]),
            provider=said.provider,
            model="",
            workflow="",
            input_tokens=0,
            output_tokens=0,
            latency_ms=0,
            details={},
            created_at=DB_NOW,
        )
    )
    return row
