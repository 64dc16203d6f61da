"""The table of what calls of models cost: totals of each day."""

from __future__ import annotations

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from mindbot_tasks.stores.tables import Base


class SpendingRow(Base):
    """Calls of one day, for one person on one bot, of one model by one way and for one purpose, added up.

    An answer adds its calls by a trigger on `answers.spent`, in the transaction that saves it: no statement of its own,
    and no call counted twice, whatever is killed. Everything else is added by `stores.spending`.
    """

    __tablename__ = "spending_daily"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)  #: "2026-11-21", in the time zone of the budgets
    platform: Mapped[str] = mapped_column(String(40), primary_key=True)  #: "" where nobody asked
    bot: Mapped[str] = mapped_column(String(80), primary_key=True)
    user_ref: Mapped[str] = mapped_column(String(255), primary_key=True)
    provider: Mapped[str] = mapped_column(String(80), primary_key=True)
    model: Mapped[str] = mapped_column(String(120), primary_key=True)
    workflow: Mapped[str] = mapped_column(String(80), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(20), primary_key=True)
    calls: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(BigInteger)  #: of these calls
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost_nano: Mapped[int] = mapped_column(BigInteger)  #: billionths of the currency: sums of integers do not drift
    unpriced: Mapped[int] = mapped_column(BigInteger)  #: calls that used tokens of a model without a price
    took_ms: Mapped[int] = mapped_column(BigInteger)  #: all calls together
