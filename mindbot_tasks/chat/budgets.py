"""What to say about budgets: a refusal when one is used up, and the answer to `/usage`. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.stores.budgets import Standing
from mindbot_tasks.stores.usage import Used

_UNUSED = Used(())


def refusal(standing: Standing, lang: Lang, left_of_day_s: float) -> str:
    """Instead of an answer."""
    key = "refused_user" if standing.scope == "user" else "refused_bot"
    return say(f"budgets.{key}", lang, hours=_hours(left_of_day_s, lang))


def told(
    used: Sequence[Used], standings: Sequence[Standing], lang: Lang, left_of_day_s: float, *, currency: str
) -> str:
    """What somebody used today, and how much of which budget that leaves."""
    one = used[0] if used else _UNUSED
    cost = ""
    if one.cost_nano:
        cost = say("budgets.costing", lang, amount=amount(one.cost, currency))
        cost += say("budgets.some_unpriced", lang) if one.unpriced else ""
    tokens = one.input_tokens + one.output_tokens
    lines = [say("budgets.today", lang, tokens=f"{tokens:,}", calls=f"{one.calls:,}", cost=cost)]
    for standing in standings:
        line = say(
            "budgets.budget_line",
            lang,
            whose=say(f"budgets.budget_{standing.scope}", lang),
            share=f"{min(1.0, standing.share):.0%}",
            used=", ".join(amounts(standing, lang, currency)),
            hours=_hours(left_of_day_s, lang),
        )
        after = {"": "", "soft": say("budgets.thrifty", lang), "hard": say("budgets.all_used", lang)}[standing.level]
        lines.append(f"- {line} {after}".rstrip())
    return "\n".join(lines)


def amounts(standing: Standing, lang: Lang, currency: str) -> list[str]:
    """What is used and what may be, in each of the units that are limited."""
    budget, spent, found = standing.budget, standing.spent, []
    if budget.cost:
        limit = amount(budget.cost, currency)
        found.append(say("budgets.of_cost", lang, used=amount(spent.cost, currency), limit=limit))
    if budget.tokens:
        found.append(say("budgets.of_tokens", lang, used=f"{spent.tokens:,}", limit=f"{budget.tokens:,}"))
    return found


def amount(cost: float, currency: str) -> str:
    """Money, with as many digits as small sums need.

    >>> amount(0.00123, "USD"), amount(12.5, "")
    ('0.0012 USD', '12.50')
    """
    digits = 2 if cost >= 1 or cost == 0 else 4
    return f"{cost:,.{digits}f} {currency}".rstrip()


def _hours(seconds: float, lang: Lang) -> str:
    if seconds < 3600:
        return say("budgets.minutes", lang, count=max(1, round(seconds / 60)))
    return say("budgets.hours", lang, count=max(1, round(seconds / 3600)))
