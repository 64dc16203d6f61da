"""How answerers did, day by day, and which workflow people went on with: sums, nothing about persons."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from mindbot_tasks.stores.tables import Base, Json


class TallyRow(Base):
    """What became of the calls of one answerer, as one variant of an experiment or as none, on one day of UTC."""

    __tablename__ = "tallies"

    day: Mapped[int] = mapped_column(Integer, primary_key=True)  #: since 1970
    answerer: Mapped[str] = mapped_column(String(120), primary_key=True)
    variant: Mapped[str] = mapped_column(String(160), primary_key=True)  #: "" outside of experiments
    asked: Mapped[int] = mapped_column(Integer)
    answered: Mapped[int] = mapped_column(Integer)
    skipped: Mapped[int] = mapped_column(Integer)  #: not asked, for breaker or limit
    recovered: Mapped[int] = mapped_column(Integer)  #: not asked or failed, and another one answered
    unanswered: Mapped[int] = mapped_column(Integer)  #: messages for it that nobody answered
    took_ms: Mapped[int] = mapped_column(BigInteger)  #: of all answers together
    took: Mapped[dict[str, Any]] = mapped_column(Json)  #: bucket -> answers; chat/figures.py knows the buckets
    errors: Mapped[dict[str, Any]] = mapped_column(Json)  #: kind -> calls that failed
    up: Mapped[int] = mapped_column(Integer)
    down: Mapped[int] = mapped_column(Integer)
    reasked: Mapped[int] = mapped_column(Integer)  #: answers after which the same was asked again


class TransitionRow(Base):
    """How often, on one day, somebody went on from one workflow to another in the same conversation."""

    __tablename__ = "transitions"

    day: Mapped[int] = mapped_column(Integer, primary_key=True)
    platform: Mapped[str] = mapped_column(String(40), primary_key=True)
    bot: Mapped[str] = mapped_column(String(80), primary_key=True)
    came_from: Mapped[str] = mapped_column(String(80), primary_key=True)
    went_to: Mapped[str] = mapped_column(String(80), primary_key=True)
    times: Mapped[int] = mapped_column(Integer)


class WatermarkRow(Base):
    """Up to which message something has been counted; moves in the transaction that counts."""

    __tablename__ = "watermarks"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    reached: Mapped[int] = mapped_column(BigInteger)
