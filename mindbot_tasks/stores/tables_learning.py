"""What the classifier learns from, and what it has learned."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from mindbot_tasks.stores.tables import Base, Id, Json


class ExampleRow(Base):
    """What kind of request a message really was. Its text stays in `messages`, and goes when that is purged."""

    __tablename__ = "classifier_examples"

    message_id: Mapped[int] = mapped_column(Id, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    label: Mapped[str] = mapped_column(String(80))
    source: Mapped[str] = mapped_column(String(20))  #: correction, reask or thumb; the first wins over the others
    given_by: Mapped[str] = mapped_column(String(255))
    given_at: Mapped[int] = mapped_column(BigInteger)


class VersionRow(Base):
    """A trained version. Active is the one that was activated last; none: the one that comes with MindBot."""

    __tablename__ = "classifier_versions"
    __table_args__ = (Index("ix_classifier_versions_activated_at", "activated_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    figures: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[int] = mapped_column(BigInteger)
    activated_at: Mapped[int | None] = mapped_column(BigInteger)
