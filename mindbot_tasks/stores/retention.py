"""Deleting what is old: messages with everything that hangs on them; conversations and people that fell silent."""

from __future__ import annotations

from sqlalchemy import Connection, delete, or_, select

from mindbot_tasks.stores import files, inbox
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import (
    AnswerRow,
    ConversationRow,
    EventRow,
    FeedbackRow,
    MessageRow,
    SendRow,
    SessionRow,
    UserRow,
)
from mindbot_tasks.stores.tables_context import FactRow, SummaryRow
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


def delete_silent_conversations(connection: Connection, *, older_than_ms: int, limit: int) -> int:
    """Delete up to `limit` conversations of which nothing is left, begun so long ago; run it in a transaction.

    What an administrator chose for a conversation stays, and so does one that a person has had since lately. A message
    that comes meanwhile is not lost: whoever records it holds the row, and then it is not taken here; or waits for this
    transaction, finds no row, and makes it anew (`inbox.record_once`).
    """
    silent = (
        ConversationRow.created_at < DB_NOW - older_than_ms,
        ConversationRow.model.is_(None),
        or_(ConversationRow.with_human_since.is_(None), ConversationRow.with_human_since < DB_NOW - older_than_ms),
        *(
            ~select(table.conversation_id).where(table.conversation_id == ConversationRow.id).exists()
            for table in (MessageRow, SessionRow, SummaryRow)
        ),
    )
    found = select(ConversationRow.id).where(*silent).order_by(ConversationRow.id).limit(limit)
    ids = list(connection.execute(found.with_for_update(skip_locked=True, of=ConversationRow)).scalars())
    if not ids:
        return 0
    # again, now that nobody can add anything: a message may have come between the look and the lock
    return connection.execute(delete(ConversationRow).where(ConversationRow.id.in_(ids), *silent)).rowcount


def delete_silent_people(connection: Connection, *, older_than_ms: int, limit: int) -> int:
    """Delete up to `limit` people who have not written for so long, and of whom no bot remembers anything.

    `seen_at` may be behind by as long as a process believes in a row. Somebody who writes again is made anew.
    """
    ids = list(
        connection.execute(
            select(UserRow.id)
            .where(
                UserRow.seen_at < DB_NOW - older_than_ms - 2 * inbox.BELIEVED_MS,
                ~select(FactRow.id)
                .where(FactRow.platform == UserRow.platform, FactRow.user_ref == UserRow.external_id)
                .exists(),
            )
            .order_by(UserRow.id)
            .limit(limit)
        ).scalars()
    )
    if not ids:
        return 0
    old = UserRow.seen_at < DB_NOW - older_than_ms  # of one who has just come back it is not
    return connection.execute(delete(UserRow).where(UserRow.id.in_(ids), old)).rowcount
