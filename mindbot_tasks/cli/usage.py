"""`mindbot usage`: calls of models, tokens and cost in groups, and what is left of today's budgets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from mindbot_tasks.chat.budgets import amounts
from mindbot_tasks.cli import tables
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.messages import Since
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.platforms import registry
from mindbot_tasks.stores import budgets
from mindbot_tasks.stores import usage as totals
from mindbot_tasks.stores.budgets import Named
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.usage import GROUPINGS, Grouping, Used

_NUMBERS = ("answers", "calls", "failures", "input", "output", "mean")


@click.command()
@click.option(
    "--by", "by", type=click.Choice(GROUPINGS), multiple=True, default=["provider", "model"], show_default=True,
    help="How to group; may be repeated.",
)  # fmt: skip
@click.option("--since", "window_s", type=Since(), default="7d", show_default=True, help="2h, 7d ...: whole days")
@click.option("--json", "as_json", is_flag=True, help="Usage and budgets as JSON.")
@told_plainly
def usage(by: tuple[Grouping, ...], window_s: float, as_json: bool) -> None:
    """Add up calls of models, tokens and cost, failed tries included, and show what is left of today's budgets.

    Prices are those of the moment of each call. Days begin where `budgets.timezone` says.
    """
    settings = get_settings()
    with reading() as connection:
        found = totals.used(connection, by, window_s=window_s)
        standings = budgets.overview(connection, settings, registry.enabled(settings))
    if as_json:
        told = {"usage": [_as_record(by, one) for one in found], "budgets": [_budget_record(one) for one in standings]}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    lang = lang_of(settings.language)
    _show(by, found, settings, lang)
    _show_budgets(standings, settings, lang)


def _as_record(by: tuple[Grouping, ...], one: Used) -> dict[str, Any]:
    return {
        **dict(zip(by, one.keys, strict=True)),
        "answers": one.answers,
        "calls": one.calls,
        "failures": one.failures,
        "input_tokens": one.input_tokens,
        "output_tokens": one.output_tokens,
        "mean_ms": one.mean_ms,
        "cost": round(one.cost, 9),
        "unpriced_calls": one.unpriced,
    }


def _budget_record(one: Named) -> dict[str, Any]:
    standing = one.standing
    return {
        "scope": standing.scope,
        "platform": one.platform,
        "bot": one.bot,
        "user": one.user,
        "cost": round(standing.spent.cost, 9),
        "cost_limit": standing.budget.cost,
        "tokens": standing.spent.tokens,
        "tokens_limit": standing.budget.tokens,
        "used": round(standing.share, 4),
        "level": standing.level,
    }


def _show(by: tuple[Grouping, ...], found: Sequence[Used], settings: Settings, lang: Lang) -> None:
    if not found:
        click.echo(say("usage.nothing", lang))
        return
    heads = [say(f"usage.head_{head}", lang) for head in (*by, *_NUMBERS)]
    currency = f" ({settings.budgets.currency})" if settings.budgets.currency else ""
    rows = []
    for one in found:
        shown = (key or "-" for key in one.keys)
        cost = f"{one.cost:,.4f}" if not one.unpriced else f"{one.cost:,.4f} + ?"
        numbers = (one.answers, one.calls, one.failures, one.input_tokens, one.output_tokens)
        rows.append([*shown, *(f"{number:,}" for number in numbers), f"{one.mean_ms / 1000:.2f} s", cost])
    heads.append(say("usage.head_cost", lang) + currency)
    tables.show(heads, rows, right=range(len(by), len(heads)))
    if any(one.unpriced for one in found):
        click.echo(say("usage.unpriced", lang))


def _show_budgets(found: Sequence[Named], settings: Settings, lang: Lang) -> None:
    if not found:
        return
    click.echo("\n" + say("usage.budgets", lang, hours=round(budgets.left_of_day_s(settings) / 3600)))
    heads = [say(f"usage.head_{head}", lang) for head in ("whose", "used", "left", "state")]
    rows = []
    for one in found:
        whose = "/".join(part for part in (one.platform, one.bot, one.user) if part) or say("usage.everything", lang)
        state = say(f"usage.state_{one.standing.level}", lang) if one.standing.level else ""
        left = max(0.0, 1 - one.standing.share)
        used = ", ".join(amounts(one.standing, lang, settings.budgets.currency))
        rows.append([whose, used, f"{left:.0%}", state])
    tables.show(heads, rows, fold=(0, 1, 3))
