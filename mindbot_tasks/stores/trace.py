"""Reading the ledger: one message with its whole timeline, and lists of messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from mindbot_tasks.core import telemetry
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.feedback import Vote, votes_of
from mindbot_tasks.stores.tables import AnswerRow, ConversationRow, EventRow, MessageRow, SendRow, UserRow, WorkerRow


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a timeline."""

    at: int
    step: str
    state: str
    attempt: int
    worker: str  #: "" when no worker had to do with it
    took_ms: int  #: since the step before
    note: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One piece that the platform took."""

    part: int
    external_id: str
    sent_at: int
    note: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything about one message. Times are milliseconds since 1970."""

    message: dict[str, Any]
    answer: dict[str, Any] | None
    events: list[Event]
    sends: list[Sent]
    votes: list[Vote] = field(default_factory=list)


_COLUMNS = (
    MessageRow.id,
    MessageRow.platform,
    MessageRow.bot,
    MessageRow.external_id,
    MessageRow.conversation_id,
    MessageRow.conversation_ref,
    MessageRow.conversation_kind,
    MessageRow.sender_ref,
    MessageRow.text,
    MessageRow.state,
    MessageRow.verdict,
    MessageRow.attempt,
    MessageRow.strikes,
    MessageRow.retries,
    MessageRow.last_error,
    MessageRow.label,
    MessageRow.confidence,
    MessageRow.classification,
    MessageRow.received_at,
    MessageRow.classified_at,
    MessageRow.answered_at,
    MessageRow.replying_at,
    MessageRow.finished_at,
    MessageRow.deadline_at,
    MessageRow.not_before,
)


def _as_dict(row: Row[Any]) -> dict[str, Any]:
    return dict(row._mapping)


def _with_trace_id(message: dict[str, Any]) -> dict[str, Any]:
    """In place of the address, which may hold secrets: under which id OpenTelemetry's traces know the message."""
    address = message.pop("address") or {}
    key = (message["platform"], message["bot"], message["external_id"])
    return {**message, "trace_id": telemetry.trace_id_of(get_settings(), key, address) or None}


def get_trace(connection: Connection, message_id: int) -> Trace | None:
    """One message with its timeline; None if there is none of this id."""
    message = connection.execute(
        select(
            *_COLUMNS,
            MessageRow.address,
            UserRow.name.label("sender_name"),
            ConversationRow.title.label("conversation_title"),
        )
        .join(ConversationRow, ConversationRow.id == MessageRow.conversation_id)
        .join(
            UserRow,
            (UserRow.platform == MessageRow.platform) & (UserRow.external_id == MessageRow.sender_ref),
            isouter=True,
        )
        .where(MessageRow.id == message_id)
    ).first()
    if message is None:
        return None
    answer = connection.execute(select(AnswerRow.__table__).where(AnswerRow.message_id == message_id)).first()
    events = connection.execute(
        select(EventRow, WorkerRow.name)
        .join(WorkerRow, WorkerRow.id == EventRow.worker_id, isouter=True)
        .with_only_columns(
            EventRow.at,
            EventRow.step,
            EventRow.state,
            EventRow.attempt,
            WorkerRow.name.label("worker"),
            EventRow.took_ms,
            EventRow.note,
        )
        .where(EventRow.message_id == message_id)
        .order_by(EventRow.id)
    )
    sends = connection.execute(
        select(SendRow.part, SendRow.external_id, SendRow.sent_at, SendRow.note)
        .where(SendRow.message_id == message_id)
        .order_by(SendRow.id)
    )
    return Trace(
        message=_with_trace_id(_as_dict(message)),
        answer=_as_dict(answer) if answer is not None else None,
        events=[
            Event(row.at, row.step, row.state, row.attempt, row.worker or "", row.took_ms, row.note or "")
            for row in events
        ],
        sends=[Sent(row.part, row.external_id or "", row.sent_at, row.note or "") for row in sends],
        votes=list(votes_of(connection, message_id)),
    )


def span_of_attempt(connection: Connection, message_id: int, attempt: int) -> tuple[int, int] | None:
    """When an attempt began, and when whatever came after it was written down; milliseconds, None if nobody knows."""
    of_it = select(EventRow.at).where(EventRow.message_id == message_id, EventRow.attempt == attempt)
    times = list(connection.execute(of_it.order_by(EventRow.id).limit(2)).scalars())
    return (times[0], times[-1]) if times else None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages to list; an empty filter means all. `before_id` goes on where a page ended."""

    state: str = ""
    platform: str = ""
    bot: str = ""
    conversation: str = ""
    sender: str = ""
    unfinished: bool = False
    since_s: float | None = None
    before_id: int | None = None


def list_messages(connection: Connection, wanted: Filter, *, limit: int = 50) -> list[dict[str, Any]]:
    """The newest messages first."""
    query: Select[Any] = select(*_COLUMNS).order_by(MessageRow.id.desc()).limit(limit)
    if wanted.state:
        query = query.where(MessageRow.state == wanted.state)
    if wanted.platform:
        query = query.where(MessageRow.platform == wanted.platform)
    if wanted.bot:
        query = query.where(MessageRow.bot == wanted.bot)
    if wanted.conversation:
        query = query.where(MessageRow.conversation_ref == wanted.conversation)
    if wanted.sender:
        query = query.where(MessageRow.sender_ref == wanted.sender)
    if wanted.unfinished:
        query = query.where(MessageRow.finished_at.is_(None))
    if wanted.since_s is not None:
        query = query.where(MessageRow.received_at >= DB_NOW - int(wanted.since_s * 1000))
    if wanted.before_id is not None:
        query = query.where(MessageRow.id < wanted.before_id)
    return [_as_dict(row) for row in connection.execute(query)]
