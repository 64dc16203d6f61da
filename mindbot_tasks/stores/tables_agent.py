"""The table of what the agent has asked people before doing it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from mindbot_tasks.stores.tables import Base, Id, Json


class ToolConfirmationRow(Base):
    """Calls of tools with effects that wait for a person's "yes": asked -> running -> done.

    Whoever moves `asked` to `running` by compare-and-set runs them, once. One that stays `running` was cut off, and
    nobody knows how far it came. What nobody confirms stays `asked` until its message is forgotten.
    """

    __tablename__ = "tool_confirmations"

    #: the message whose answer asks
    message_id: Mapped[int] = mapped_column(Id, ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    token: Mapped[str] = mapped_column(String(40))  #: stands in the answer, too: only what was said can be confirmed
    calls: Mapped[list[Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(20))
    asked_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    decided_by: Mapped[int | None] = mapped_column(Id)  #: the message that said yes
    decided_at: Mapped[int | None] = mapped_column(BigInteger)
    results: Mapped[list[Any] | None] = mapped_column(Json)
