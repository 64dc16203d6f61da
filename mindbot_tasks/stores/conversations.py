"""What is remembered of a conversation as a whole, and what people may ask about it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, tuple_, update

from mindbot_tasks.model.message import ASKS_STATUS, State
from mindbot_tasks.stores.claims import OUR_OWN_WORDS, is_follower
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import AnswerRow, ConversationRow, MessageRow, SessionRow
from mindbot_tasks.stores.tables_context import SummaryRow


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A message that somebody waits for."""

    message_id: int
    state: State
    working: bool  #: a worker has it in its hands
    age_ms: int


def forget_sessions(connection: Connection, *, older_than_ms: int, limit: int) -> int:
    """Forget up to `limit` remote conversations that nobody has gone on with for so long; returns how many."""
    old = (
        select(SessionRow.conversation_id, SessionRow.answerer, SessionRow.user_ref)
        .where(SessionRow.updated_at < DB_NOW - older_than_ms)
        .limit(limit)
    )
    key = tuple_(SessionRow.conversation_id, SessionRow.answerer, SessionRow.user_ref)
    keys = [tuple(row) for row in connection.execute(old)]
    return connection.execute(delete(SessionRow).where(key.in_(keys))).rowcount if keys else 0


def forget_before(connection: Connection, message_id: int) -> None:
    """What was said before this message no longer goes along with questions; nor do remote conversations go on."""
    this = select(MessageRow.conversation_id).where(MessageRow.id == message_id)
    conversation_id = connection.execute(this).scalar_one()
    begin_anew(connection, conversation_id, message_id)


def begin_anew(connection: Connection, conversation_id: int, message_id: int) -> None:
    """The same for a conversation that this message need not belong to."""
    connection.execute(
        update(ConversationRow)
        .where(ConversationRow.id == conversation_id)
        .values(reset_at=DB_NOW, reset_by=message_id)
    )
    connection.execute(delete(SessionRow).where(SessionRow.conversation_id == conversation_id))
    connection.execute(delete(SummaryRow).where(SummaryRow.conversation_id == conversation_id))


def choose_model(connection: Connection, conversation_id: int, model: str | None) -> None:
    """The model that answers first in this conversation; None: as configured."""
    connection.execute(update(ConversationRow).where(ConversationRow.id == conversation_id).values(model=model))


def chosen_model(connection: Connection, conversation_id: int) -> str:
    """The model that somebody chose; "" if nobody did."""
    return connection.execute(select(ConversationRow.model).where(ConversationRow.id == conversation_id)).scalar() or ""


def unfinished_before(connection: Connection, conversation_id: int, message_id: int) -> list[Unfinished]:
    """Everything that was asked before this message and has not ended, oldest first."""
    rows = connection.execute(
        select(MessageRow.id, MessageRow.state, MessageRow.lease_owner, (DB_NOW - MessageRow.received_at).label("age"))
        .where(
            MessageRow.conversation_id == conversation_id,
            MessageRow.id < message_id,
            MessageRow.finished_at.is_(None),
            MessageRow.label.is_distinct_from(ASKS_STATUS),
            ~is_follower(),
        )
        .order_by(MessageRow.id)
        .limit(100)
    )
    return [Unfinished(row.id, State(row.state), row.lease_owner is not None, row.age) for row in rows]


def last_exchanges(
    connection: Connection, conversation_id: int, message_id: int, *, limit: int
) -> list[tuple[str, str]]:
    """The last questions and answers since the last reset, oldest first; without commands."""
    reset_by = select(ConversationRow.reset_by).where(ConversationRow.id == conversation_id)
    since = connection.execute(reset_by).scalar() or 0
    rows = connection.execute(
        select(MessageRow.text, AnswerRow.text)
        .join(AnswerRow, AnswerRow.message_id == MessageRow.id)
        .where(
            MessageRow.conversation_id == conversation_id,
            MessageRow.id < message_id,
            MessageRow.id > since,
            MessageRow.state == State.REPLIED.value,
            AnswerRow.provider != OUR_OWN_WORDS,
        )
        .order_by(MessageRow.id.desc())
        .limit(limit)
    )
    return [(question, answer) for question, answer in reversed(rows.all())]
