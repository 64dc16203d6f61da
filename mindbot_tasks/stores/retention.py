"""Deleting what is old: messages with everything that hangs on them."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from mindbot_tasks.stores import files
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import AnswerRow, EventRow, FeedbackRow, MessageRow, SendRow
from mindbot_tasks.stores.tables_learning import ExampleRow


def delete_finished(connection: Connection, *, older_than_ms: int, limit: int) -> int:
    """Delete up to `limit` of the oldest messages that ended more than `older_than_ms` ago; run it in a transaction.

    Walks the primary key from its start, where the oldest are, so it costs the same however many are kept.
    """
    oldest = list(
        connection.execute(
            select(MessageRow.id, MessageRow.finished_at < DB_NOW - older_than_ms).order_by(MessageRow.id).limit(limit)
        )
    )
    ids = [message_id for message_id, expired in oldest if expired]
    if ids:
        files.let_go(connection, ids)
        connection.execute(delete(EventRow).where(EventRow.message_id.in_(ids)))
        connection.execute(delete(SendRow).where(SendRow.message_id.in_(ids)))
        connection.execute(delete(FeedbackRow).where(FeedbackRow.message_id.in_(ids)))
        connection.execute(delete(ExampleRow).where(ExampleRow.message_id.in_(ids)))
        connection.execute(delete(AnswerRow).where(AnswerRow.message_id.in_(ids)))
        connection.execute(delete(MessageRow).where(MessageRow.id.in_(ids)))
    return len(ids)
