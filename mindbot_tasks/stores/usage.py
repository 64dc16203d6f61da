"""What answers have cost in tokens, added up from the ledger; for `mindbot usage`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from sqlalchemy import BigInteger, Connection, cast, func, select

from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import AnswerRow, MessageRow

Grouping = Literal["day", "platform", "bot", "user", "provider", "model", "workflow"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
_DAY_MS = 86_400_000

_COLUMNS: Mapping[str, Any] = {
    # the days of UTC: the ledger does not know where its readers live
    "day": cast(AnswerRow.created_at / _DAY_MS, BigInteger),
    "platform": MessageRow.platform,
    "bot": MessageRow.bot,
    "user": MessageRow.sender_ref,
    "provider": AnswerRow.provider,
    "model": AnswerRow.model,
    "workflow": AnswerRow.workflow,
}


@dataclass(frozen=True, slots=True)
class Used:
    """One group; provider and model are always told apart, because prices belong to them."""

    keys: tuple[str, ...]
    provider: str
    model: str
    answers: int
    input_tokens: int
    output_tokens: int
    mean_ms: int


def used(connection: Connection, by: tuple[Grouping, ...], *, window_ms: int) -> list[Used]:
    """Answers of the window in groups. Reads every answer of the window, so it is for people and not for a loop."""
    columns = [_COLUMNS[name] for name in by]
    groups = [*columns, AnswerRow.provider, AnswerRow.model]
    rows = connection.execute(
        select(
            *groups,
            func.count(),
            func.sum(AnswerRow.input_tokens),
            func.sum(AnswerRow.output_tokens),
            func.avg(AnswerRow.latency_ms),
        )
        .join(MessageRow, MessageRow.id == AnswerRow.message_id)
        .where(AnswerRow.created_at >= DB_NOW - window_ms)
        .group_by(*groups)
        .order_by(*groups)
    ).all()
    found = []
    for row in rows:
        *keys, provider, model, answers, input_tokens, output_tokens, mean_ms = row
        told = tuple(_day(key) if name == "day" else str(key) for name, key in zip(by, keys, strict=True))
        found.append(
            Used(told, provider, model, answers, int(input_tokens or 0), int(output_tokens or 0), int(mean_ms or 0))
        )
    return found


def _day(number: int) -> str:
    return f"{datetime.fromtimestamp(int(number) * _DAY_MS / 1000, UTC):%Y-%m-%d}"
