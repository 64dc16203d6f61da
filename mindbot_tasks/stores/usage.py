"""What calls of models have used and cost, from the totals of each day; for `mindbot usage`, the API and `/usage`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, case, func, select
from sqlalchemy.orm import InstrumentedAttribute

from mindbot_tasks.stores import spending
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.spending import NANO, Whose
from mindbot_tasks.stores.tables_spending import SpendingRow

Grouping = Literal["day", "platform", "bot", "user", "provider", "model", "workflow", "purpose"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

_COLUMNS: Mapping[str, Any] = {name: getattr(SpendingRow, "user_ref" if name == "user" else name) for name in GROUPINGS}


@dataclass(frozen=True, slots=True)
class Used:
    """One group."""

    keys: tuple[str, ...]
    answers: int = 0
    calls: int = 0  #: tries that failed, and calls that are no answers, too
    failures: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    unpriced: int = 0  #: calls that used tokens of a model without a price
    took_ms: int = 0

    @property
    def cost(self) -> float:
        """In the currency of the prices."""
        return self.cost_nano / NANO

    @property
    def mean_ms(self) -> int:
        return self.took_ms // self.calls if self.calls else 0


def used(
    connection: Connection, by: tuple[Grouping, ...], *, window_s: float = 0, whose: Whose | None = None
) -> list[Used]:
    """The days of the window, today included, in groups; `whose`: only what this person on this bot has used."""
    columns = [_COLUMNS[name] for name in by]
    answers = case(
        (SpendingRow.purpose.in_(("answer", spending.AGENT_ANSWER)), SpendingRow.calls - SpendingRow.failures), else_=0
    )
    sums = [
        answers,
        _of_calls(SpendingRow.calls),
        _of_calls(SpendingRow.failures),
        SpendingRow.input_tokens,
        SpendingRow.output_tokens,
        SpendingRow.cost_nano,
        SpendingRow.unpriced,
        _of_calls(SpendingRow.took_ms),
    ]
    wanted = [SpendingRow.day >= spending.today(time.time() - window_s)]
    if whose is not None:
        wanted += [
            SpendingRow.platform == cut(whose.platform, 40),
            SpendingRow.bot == cut(whose.bot, 80),
            SpendingRow.user_ref == cut(whose.user),
        ]
    rows = connection.execute(
        select(*columns, *(func.sum(each) for each in sums)).where(*wanted).group_by(*columns).order_by(*columns)
    )
    groups = [(row[: len(by)], [int(value or 0) for value in row[len(by) :]]) for row in rows]
    return [Used(tuple(str(key) for key in keys), *values) for keys, values in groups if values[0] or values[1]]


def _of_calls(column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    """An agent's answer is no call of its own: its calls have rows of theirs."""
    return case((SpendingRow.purpose == spending.AGENT_ANSWER, 0), else_=column)
