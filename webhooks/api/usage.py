"""What models have cost, for programs: `/api/v1/usage`."""

from __future__ import annotations

from typing import Any, cast

import flask

from mindbot_tasks.platforms import registry
from mindbot_tasks.stores import budgets
from mindbot_tasks.stores import usage as totals
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.usage import Grouping
from webhooks import access, errors
from webhooks.api.models import BudgetView, UsageQuery, UsageRow, UsageView
from webhooks.api.views import api

_DAY_S = 86_400


@api.get("/usage")
@api.input(UsageQuery, location="query", arg_name="query")
@api.output(UsageView)
@api.doc(
    summary="What models have cost",
    description="Calls, tokens and cost in groups, and what is left of today's budgets.",
    security="key",
    responses={401: "No valid API key", 404: "Not yours to see", 429: "Too many requests", 503: "Database away"},
)
def get_usage(query: UsageQuery) -> Any:
    """Everybody's, so only for holders of a key."""
    if flask.g.caller.conversation is not None:
        return errors.error(404, "not_found", "That is for holders of an API key.")
    settings = access.settings()
    by = cast("tuple[Grouping, ...]", tuple(dict.fromkeys(query.by.split(","))))
    with reading() as connection:
        found = totals.used(connection, by, window_s=(query.days - 1) * _DAY_S)
        standings = budgets.overview(connection, settings, registry.enabled(settings))
    return UsageView(
        currency=settings.budgets.currency,
        usage=[
            UsageRow(
                **cast("dict[str, Any]", dict(zip(by, one.keys, strict=True))),
                answers=one.answers,
                calls=one.calls,
                failures=one.failures,
                input_tokens=one.input_tokens,
                output_tokens=one.output_tokens,
                mean_ms=one.mean_ms,
                cost=round(one.cost, 9),
                unpriced_calls=one.unpriced,
            )
            for one in found
        ],
        budgets=[
            BudgetView(
                scope=one.standing.scope,
                platform=one.platform,
                bot=one.bot,
                user=one.user,
                cost=round(one.standing.spent.cost, 9),
                cost_limit=one.standing.budget.cost,
                tokens=one.standing.spent.tokens,
                tokens_limit=one.standing.budget.tokens,
                used=round(one.standing.share, 4),
                level=one.standing.level,
            )
            for one in standings
        ],
        left_of_day_s=int(budgets.left_of_day_s(settings)),
    )
