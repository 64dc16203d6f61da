"""Tables of what is remembered beyond the last few messages: summaries of conversations, and facts about people."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from mindbot_tasks.stores.tables import Base, Id


class SummaryRow(Base):
    """What was said in a conversation before what still goes along word by word; also the order to write it.

    A row with `due_at` waits for whoever writes summaries. Taking it moves `due_at` on and counts `attempt` up, so that
    a writer who was killed is followed by another one, and one who comes back late is recognised.
    """

    __tablename__ = "summaries"
    __table_args__ = (
        Index(
            "ix_summaries_due_at",
            "due_at",
            sqlite_where=text("due_at IS NOT NULL"),
            postgresql_where=text("due_at IS NOT NULL"),
        ),
    )

    conversation_id: Mapped[int] = mapped_column(
        Id, ForeignKey("conversations.id"), primary_key=True, autoincrement=False
    )
    text: Mapped[str] = mapped_column(Text)
    until_id: Mapped[int] = mapped_column(Id)  #: the last message that is in it
    wanted_id: Mapped[int] = mapped_column(Id)  #: the last message that shall be in it
    due_at: Mapped[int | None] = mapped_column(BigInteger)  #: NULL: nothing to do
    attempt: Mapped[int] = mapped_column(Integer)
    failures: Mapped[int] = mapped_column(Integer)  #: since it last worked
    last_error: Mapped[str | None] = mapped_column(String(500))
    provider: Mapped[str] = mapped_column(String(80))
    model: Mapped[str] = mapped_column(String(120))
    input_tokens: Mapped[int] = mapped_column(BigInteger)  #: of all times it was written
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    written: Mapped[int] = mapped_column(Integer)  #: how often
    updated_at: Mapped[int] = mapped_column(BigInteger)


class FactRow(Base):
    """Something that a person asked a bot to remember."""

    __tablename__ = "facts"
    __table_args__ = (Index("ix_facts_person", "platform", "bot", "user_ref", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    platform: Mapped[str] = mapped_column(String(40))
    bot: Mapped[str] = mapped_column(String(80))
    user_ref: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    private: Mapped[int] = mapped_column(Integer)  #: 1: told in a one-to-one conversation, so not for groups
    conversation_id: Mapped[int] = mapped_column(Id)  #: where it was told
    message_id: Mapped[int] = mapped_column(Id)  #: the message that told it; later ones have larger numbers
    created_at: Mapped[int] = mapped_column(BigInteger)
