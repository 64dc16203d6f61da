"""Summaries of what no longer goes along word by word: who wants one, who writes it, and what it said."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, case, delete, literal, select, update

from mindbot_tasks.model.answer import Usage
from mindbot_tasks.model.message import State
from mindbot_tasks.stores.claims import OUR_OWN_WORDS
from mindbot_tasks.stores.cleaning import clean, cut
from mindbot_tasks.stores.clock import DB_NOW, later
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables import AnswerRow, ConversationRow, MessageRow
from mindbot_tasks.stores.tables_context import SummaryRow

#: exchanges that one call of a model takes in; what is left waits for the next round
MOST_EXCHANGES = 40
#: after so many failures in a row nobody tries until a message is cut again
MOST_FAILURES = 6
_FIRST_PAUSE_MS = 30_000
_LONGEST_PAUSE_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Task:
    """A summary in the hands of one writer."""

    conversation_id: int
    attempt: int  #: the fencing number
    before: str  #: the summary so far
    until_id: int  #: and the last message in it
    wanted_id: int
    failures: int
    platform: str
    bot: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer, to be summed up."""

    message_id: int
    question: str
    answer: str
    workflow: str = ""  #: that answered


def want(
    connection: Connection, conversation_id: int, wanted_id: int, *, begins_after: int = 0, now: int | None = None
) -> None:
    """From now on a summary up to this message is wanted; what was summed up of messages before `begins_after` goes."""
    at = DB_NOW if now is None else literal(now, BigInteger)
    row = insert_into(SummaryRow, connection.dialect.name).values(
        conversation_id=conversation_id,
        text="",
        until_id=begins_after,
        wanted_id=wanted_id,
        due_at=at,
        attempt=0,
        failures=0,
        provider="",
        model="",
        input_tokens=0,
        output_tokens=0,
        written=0,
        updated_at=at,
    )
    over = SummaryRow.until_id < begins_after
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["conversation_id"],
            set_={
                "text": case((over, ""), else_=SummaryRow.text),
                "until_id": case((over, begins_after), else_=SummaryRow.until_id),
                "wanted_id": later(SummaryRow.wanted_id, row.excluded.wanted_id),
                # who is writing now goes on; what he writes is kept, unless it is over
                "attempt": case((over, SummaryRow.attempt + 1), else_=SummaryRow.attempt),
                "due_at": case((SummaryRow.due_at.is_(None) | over, at), else_=SummaryRow.due_at),
                "failures": case((SummaryRow.due_at.is_(None), 0), else_=SummaryRow.failures),
            },
        )
    )


def take(connection: Connection, *, lease_ms: int, now: int | None = None) -> Task | None:
    """The summary that waits longest, for this writer alone until the lease is over; None: nothing is due."""
    at = DB_NOW if now is None else literal(now, BigInteger)
    next_one = (
        select(SummaryRow.conversation_id)
        .where(SummaryRow.due_at <= at)
        .order_by(SummaryRow.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    row = connection.execute(
        update(SummaryRow)
        .where(SummaryRow.conversation_id == next_one, SummaryRow.due_at <= at)
        .values(due_at=at + lease_ms, attempt=SummaryRow.attempt + 1)
        .returning(
            SummaryRow.conversation_id,
            SummaryRow.attempt,
            SummaryRow.text,
            SummaryRow.until_id,
            SummaryRow.wanted_id,
            SummaryRow.failures,
        )
    ).first()
    if row is None:
        return None
    whose = select(ConversationRow.platform, ConversationRow.bot).where(ConversationRow.id == row.conversation_id)
    platform, bot = connection.execute(whose).one()
    return Task(row.conversation_id, row.attempt, row.text, row.until_id, row.wanted_id, row.failures, platform, bot)


def exchanges(connection: Connection, task: Task) -> list[Exchange]:
    """The oldest of those that are to be summed up; commands and notices are none."""
    rows = connection.execute(
        select(MessageRow.id, MessageRow.text, AnswerRow.text.label("answer"), AnswerRow.workflow)
        .join(AnswerRow, AnswerRow.message_id == MessageRow.id)
        .where(
            MessageRow.conversation_id == task.conversation_id,
            MessageRow.id > task.until_id,
            MessageRow.id <= task.wanted_id,
            MessageRow.state == State.REPLIED.value,
            AnswerRow.provider != OUR_OWN_WORDS,
        )
        .order_by(MessageRow.id)
        .limit(MOST_EXCHANGES)
    )
    return [Exchange(row.id, row.text, row.answer, row.workflow) for row in rows]


def save(
    connection: Connection,
    task: Task,
    text: str,
    *,
    until_id: int,
    provider: str = "",
    model: str = "",
    usage: Usage = Usage(),  # noqa: B008 - frozen
) -> bool:
    """The summary is written up to `until_id`; if more is wanted, it is due again. False: it is no longer ours."""
    done = SummaryRow.wanted_id <= until_id
    saved = connection.execute(
        update(SummaryRow)
        .where(SummaryRow.conversation_id == task.conversation_id, SummaryRow.attempt == task.attempt)
        .values(
            text=clean(text),
            until_id=until_id,
            due_at=case((done, None), else_=DB_NOW),
            failures=0,
            last_error=None,
            provider=cut(provider, 80),
            model=cut(model, 120),
            input_tokens=SummaryRow.input_tokens + usage.input_tokens,
            output_tokens=SummaryRow.output_tokens + usage.output_tokens,
            written=SummaryRow.written + 1,
            updated_at=DB_NOW,
        )
    )
    return saved.rowcount == 1


def failed(connection: Connection, task: Task, error: str, *, ours: bool = False) -> bool:
    """It did not work; tried again later, at growing distances, and at last no more. False: it is no longer ours.

    ours: this process has to stop; somebody else may begin at once.
    """
    failures = task.failures + (not ours)
    pause_ms = 0 if ours else min(_LONGEST_PAUSE_MS, _FIRST_PAUSE_MS * 4 ** (failures - 1))
    changed = connection.execute(
        update(SummaryRow)
        .where(SummaryRow.conversation_id == task.conversation_id, SummaryRow.attempt == task.attempt)
        .values(
            failures=failures,
            last_error=cut(error, 500),
            due_at=None if failures >= MOST_FAILURES else DB_NOW + pause_ms,
        )
    )
    return changed.rowcount == 1


def delete_old(connection: Connection, *, older_than_ms: int, limit: int) -> int:
    """Delete up to `limit` summaries of conversations that were silent for so long; their messages go as well."""
    old = (
        select(SummaryRow.conversation_id)
        .where(SummaryRow.updated_at < DB_NOW - older_than_ms)
        .order_by(SummaryRow.conversation_id)
        .limit(limit)
    )
    return connection.execute(delete(SummaryRow).where(SummaryRow.conversation_id.in_(old))).rowcount
