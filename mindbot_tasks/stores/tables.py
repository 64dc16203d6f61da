"""The tables. Times are milliseconds since 1970 by the database's clock (docs/decisions/0001-times.md)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, MetaData, String, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: SQLite only counts up by itself in columns of exactly the type INTEGER
Id = BigInteger().with_variant(Integer, "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql")
JsonOrNull = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class ConversationRow(Base):
    """A one-to-one or group conversation with one of our bots."""

    __tablename__ = "conversations"
    __table_args__ = (UniqueConstraint("platform", "bot", "external_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(40))
    bot: Mapped[str] = mapped_column(String(80))
    external_id: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[int] = mapped_column(BigInteger)
    reset_at: Mapped[int | None] = mapped_column(BigInteger)  #: what was said before is forgotten (`/new`)
    reset_by: Mapped[int | None] = mapped_column(Id)  #: the message that said so
    model: Mapped[str | None] = mapped_column(String(120))  #: chosen by an administrator (`/model`)
    with_human_since: Mapped[int | None] = mapped_column(BigInteger)  #: a person has taken over; the bot is silent


class UserRow(Base):
    """A person on a platform."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("platform", "external_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(40))
    external_id: Mapped[str] = mapped_column(String(255))
    name: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[int] = mapped_column(BigInteger)


class MessageRow(Base):
    """One incoming message and how far it is: the state machine of the design.

    A step that changes `stepped_at` is written into `events` by a trigger, and one that raises `sent_parts` into
    `sends`, so that no path through the code can forget the timeline, and it costs no statement of its own.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("platform", "bot", "external_id"),
        Index("ix_messages_conversation_id", "conversation_id"),  # for the purge, and the foreign key that it meets
        Index(
            "ix_messages_history",
            "conversation_id",
            "id",
            sqlite_where=text("state = 'replied'"),
            postgresql_where=text("state = 'replied'"),
        ),
        Index(
            "ix_messages_turn",
            "conversation_id",
            "id",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_messages_wake",
            "wake_at",
            sqlite_where=text("finished_at IS NULL"),
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "ix_messages_lease",
            "lease_owner",
            sqlite_where=text("lease_owner IS NOT NULL"),
            postgresql_where=text("lease_owner IS NOT NULL"),
        ),
        Index(
            "ix_messages_quarantined",
            "finished_at",
            sqlite_where=text("state = 'quarantined'"),
            postgresql_where=text("state = 'quarantined'"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    conversation_id: Mapped[int] = mapped_column(Id, ForeignKey("conversations.id"))
    platform: Mapped[str] = mapped_column(String(40))
    bot: Mapped[str] = mapped_column(String(80))
    external_id: Mapped[str] = mapped_column(String(255))
    conversation_ref: Mapped[str] = mapped_column(String(255))  #: the platform's id, kept here to save a look-up
    conversation_kind: Mapped[str] = mapped_column(String(20))
    sender_ref: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    parts: Mapped[list[Any]] = mapped_column(Json)
    address: Mapped[dict[str, Any]] = mapped_column(Json)

    state: Mapped[str] = mapped_column(String(20))
    verdict: Mapped[str | None] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(Integer)  #: rises with every claim and never falls: the fencing number
    strikes: Mapped[int] = mapped_column(Integer)  #: claims of this stage that have not ended in an orderly way
    retries: Mapped[int] = mapped_column(Integer)  #: orderly retries of this stage
    lease_owner: Mapped[int | None] = mapped_column(Id)
    lease_until: Mapped[int | None] = mapped_column(BigInteger)
    not_before: Mapped[int | None] = mapped_column(BigInteger)
    wake_at: Mapped[int | None] = mapped_column(BigInteger)  #: when the sweeper looks at this row next
    deadline_at: Mapped[int] = mapped_column(BigInteger)
    last_error: Mapped[str | None] = mapped_column(String(500))

    label: Mapped[str | None] = mapped_column(String(80))
    confidence: Mapped[float | None]
    classification: Mapped[dict[str, Any] | None] = mapped_column(Json)
    sent_parts: Mapped[int] = mapped_column(Integer)
    sent_id: Mapped[str | None] = mapped_column(String(255))

    step: Mapped[str] = mapped_column(String(40))
    stepped_at: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str | None] = mapped_column(String(500))  #: goes into the event of this step

    cancelled_at: Mapped[int | None] = mapped_column(BigInteger)  #: somebody said `/stop`
    merged_into: Mapped[int | None] = mapped_column(Id)  #: the message whose answer covers this one (bursts)

    sent_at: Mapped[int | None] = mapped_column(BigInteger)  #: by the platform's clock
    received_at: Mapped[int] = mapped_column(BigInteger)
    classified_at: Mapped[int | None] = mapped_column(BigInteger)
    answered_at: Mapped[int | None] = mapped_column(BigInteger)
    replying_at: Mapped[int | None] = mapped_column(BigInteger)
    finished_at: Mapped[int | None] = mapped_column(BigInteger)


class AnswerRow(Base):
    """What was generated for a message; saved before the reply is sent."""

    __tablename__ = "answers"

    message_id: Mapped[int] = mapped_column(Id, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    parts: Mapped[list[Any]] = mapped_column(Json)
    provider: Mapped[str] = mapped_column(String(80))
    model: Mapped[str] = mapped_column(String(120))
    workflow: Mapped[str] = mapped_column(String(80))
    input_tokens: Mapped[int] = mapped_column(Integer)
    output_tokens: Mapped[int] = mapped_column(Integer)
    latency_ms: Mapped[int] = mapped_column(Integer)
    first_token_ms: Mapped[int | None] = mapped_column(Integer)
    details: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[int] = mapped_column(BigInteger)
    #: the calls of models that it took (`stores.spending`); a trigger adds them up, so only new calls go in here
    spent: Mapped[list[Any] | None] = mapped_column(JsonOrNull)


class EventRow(Base):
    """One step of a message: what, when, on which worker, how long after the step before. Written by a trigger."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_message_id", "message_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    message_id: Mapped[int] = mapped_column(Id)
    at: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20))
    attempt: Mapped[int] = mapped_column(Integer)
    worker_id: Mapped[int | None] = mapped_column(Id)
    took_ms: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str | None] = mapped_column(String(500))


class SendRow(Base):
    """One piece of an answer that a platform has accepted. Written by a trigger."""

    __tablename__ = "sends"
    __table_args__ = (Index("ix_sends_message_id", "message_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    message_id: Mapped[int] = mapped_column(Id)
    part: Mapped[int] = mapped_column(Integer)
    attempt: Mapped[int] = mapped_column(Integer)
    worker_id: Mapped[int | None] = mapped_column(Id)
    external_id: Mapped[str | None] = mapped_column(String(255))
    note: Mapped[str | None] = mapped_column(String(500))
    sent_at: Mapped[int] = mapped_column(BigInteger)


class SessionRow(Base):
    """The remote conversation that an answerer (a Dify app) keeps for one of our conversations and one person."""

    __tablename__ = "sessions"

    conversation_id: Mapped[int] = mapped_column(Id, ForeignKey("conversations.id"), primary_key=True)
    answerer: Mapped[str] = mapped_column(String(120), primary_key=True)
    user_ref: Mapped[str] = mapped_column(String(255), primary_key=True)
    session_id: Mapped[str] = mapped_column(String(255))
    updated_at: Mapped[int] = mapped_column(BigInteger)


class FeedRow(Base):
    """What a platform only announces and we have to fetch (WeCom Customer Service): one row per feed of a bot.

    The cursor moves in the transaction that records the messages before it. `rung` counts announcements, `served` is
    the count that the last finished pull had seen: unequal means that there is something to fetch.
    """

    __tablename__ = "feeds"
    __table_args__ = (UniqueConstraint("platform", "bot", "feed"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(40))
    bot: Mapped[str] = mapped_column(String(80))
    feed: Mapped[str] = mapped_column(String(255))
    cursor: Mapped[str] = mapped_column(String(255))
    token: Mapped[str] = mapped_column(String(512))  #: came with the last announcement; short-lived
    rung: Mapped[int] = mapped_column(Integer)
    served: Mapped[int] = mapped_column(Integer)
    rung_at: Mapped[int | None] = mapped_column(BigInteger)
    pulled_at: Mapped[int | None] = mapped_column(BigInteger)  #: when it was last read to its end; NULL: never
    holder: Mapped[str | None] = mapped_column(String(80))  #: one puller at a time: the worker's id, "/", a nonce
    held_until: Mapped[int | None] = mapped_column(BigInteger)
    not_before: Mapped[int | None] = mapped_column(BigInteger)  #: after a pull that did not work
    failures: Mapped[int] = mapped_column(Integer)  #: pulls in a row that did not work
    last_error: Mapped[str | None] = mapped_column(String(500))


class OccurrenceRow(Base):
    """Something that happened on a platform and is no message: somebody entered, a session went to an agent ..."""

    __tablename__ = "occurrences"
    __table_args__ = (
        UniqueConstraint("platform", "bot", "external_id"),
        Index("ix_occurrences_conversation", "platform", "bot", "conversation_ref"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(40))
    bot: Mapped[str] = mapped_column(String(80))
    external_id: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(80))
    conversation_ref: Mapped[str] = mapped_column(String(255))
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    happened_at: Mapped[int | None] = mapped_column(BigInteger)  #: by the platform's clock
    recorded_at: Mapped[int] = mapped_column(BigInteger)


class FeedbackRow(Base):
    """What a person thinks of an answer: the last vote of each person counts."""

    __tablename__ = "feedback"
    __table_args__ = (
        UniqueConstraint("platform", "bot", "answer_ref", "user_ref"),
        Index(
            "ix_feedback_tell_at",
            "tell_at",
            sqlite_where=text("tell_at IS NOT NULL"),
            postgresql_where=text("tell_at IS NOT NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    message_id: Mapped[int | None] = mapped_column(Id, index=True)
    platform: Mapped[str] = mapped_column(String(40))
    bot: Mapped[str] = mapped_column(String(80))
    answer_ref: Mapped[str] = mapped_column(String(255))  #: the platform's handle of the answer
    user_ref: Mapped[str] = mapped_column(String(255))
    vote: Mapped[str] = mapped_column(String(20))  #: "up" or "down"
    voted_at: Mapped[int] = mapped_column(BigInteger)
    tell_at: Mapped[int | None] = mapped_column(BigInteger)  #: when to tell it to who answered; NULL: nobody, or done
    tell_tries: Mapped[int] = mapped_column(Integer, server_default=text("0"))  #: that did not work


class FileRow(Base):
    """A file that came with a message or goes out with an answer; the bytes are in the file store under `place`."""

    __tablename__ = "files"
    __table_args__ = (
        Index("ix_files_expires_at", "expires_at"),
        Index("ix_files_place", "place"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    message_id: Mapped[int | None] = mapped_column(Id, index=True)
    part: Mapped[int] = mapped_column(Integer)  #: which part of the message
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(120))  #: as found in the bytes, not as claimed
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    place: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)


class WorkerRow(Base):
    """A worker process, alive while `seen_at` is fresh."""

    __tablename__ = "workers"
    __table_args__ = (
        Index(
            "ix_workers_alive",
            "seen_at",
            sqlite_where=text("gone_at IS NULL"),
            postgresql_where=text("gone_at IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(255))
    #: what others on the same machine watch it by, see core/processes.py; "": only its silence tells that it is dead
    process: Mapped[str] = mapped_column(String(160), default="", server_default=text("''"))
    queues: Mapped[list[str]] = mapped_column(Json)
    started_at: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[int] = mapped_column(BigInteger)
    gone_at: Mapped[int | None] = mapped_column(BigInteger)


class DutyRow(Base):
    """When a periodic duty was last taken up, so that two beats, or a fallback, do it once in its slot."""

    __tablename__ = "duties"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    ran_at: Mapped[int] = mapped_column(BigInteger)
