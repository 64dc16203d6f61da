"""`mindbot usage`: tokens and cost of the answers, by day, bot, user, provider, model or workflow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.messages import Since
from mindbot_tasks.core.settings import ProviderSettings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.stores import usage as ledger
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.usage import GROUPINGS, Grouping, Used


@dataclass(slots=True)
class Total:
    """One line of the report."""

    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    took_ms: int = 0
    cost: float = 0.0
    unpriced: int = 0  #: answers whose model has no price in the configuration, but used tokens


def price(one: Used, providers: dict[str, ProviderSettings]) -> float | None:
    """What these answers cost; None if the configuration has no price for the model."""
    models = providers[one.provider].models if one.provider in providers else []
    for model in models:
        if model.name == one.model and model.input_price is not None and model.output_price is not None:
            return (one.input_tokens * model.input_price + one.output_tokens * model.output_price) / 1_000_000
    return None


def totals(found: Sequence[Used], providers: dict[str, ProviderSettings]) -> dict[tuple[str, ...], Total]:
    """The groups of the report, in their order. Pure."""
    lines: dict[tuple[str, ...], Total] = {}
    for one in found:
        total = lines.setdefault(one.keys, Total())
        total.answers += one.answers
        total.input_tokens += one.input_tokens
        total.output_tokens += one.output_tokens
        total.took_ms += one.mean_ms * one.answers
        cost = price(one, providers)
        if cost is not None:
            total.cost += cost
        elif one.input_tokens or one.output_tokens:
            total.unpriced += one.answers
    return lines


@click.command()
@click.option(
    "--by", "by", type=click.Choice(GROUPINGS), multiple=True, default=["provider", "model"], show_default=True,
    help="How to group; may be repeated.",
)  # fmt: skip
@click.option("--since", "window_s", type=Since(), default="7d", show_default=True, help="15m, 2h, 7d ...")
@click.option("--json", "as_json", is_flag=True, help="A JSON list.")
@told_plainly
def usage(by: tuple[Grouping, ...], window_s: float, as_json: bool) -> None:
    """Add up answers, tokens and cost; prices come from `models` in the configuration. Days are those of UTC."""
    settings = get_settings()
    with reading() as connection:
        found = ledger.used(connection, by, window_ms=int(window_s * 1000))
    lines = totals(found, settings.providers)
    if as_json:
        told = [
            {
                **dict(zip(by, keys, strict=True)),
                "answers": one.answers,
                "input_tokens": one.input_tokens,
                "output_tokens": one.output_tokens,
                "mean_ms": one.took_ms // one.answers,
                "cost": round(one.cost, 6),
                "unpriced_answers": one.unpriced,
            }
            for keys, one in lines.items()
        ]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    _show(by, lines, lang_of(settings.language))


def _show(by: tuple[Grouping, ...], lines: dict[tuple[str, ...], Total], lang: Lang) -> None:
    if not lines:
        click.echo(say("usage.nothing", lang))
        return
    table = Table(*(say(f"usage.head_{head}", lang) for head in by))
    for head in ("answers", "input", "output", "mean", "cost"):
        table.add_column(say(f"usage.head_{head}", lang), justify="right")
    for keys, one in lines.items():
        shown = (key or "-" for key in keys)
        cost = f"{one.cost:,.4f}" if not one.unpriced else f"{one.cost:,.4f} + ?"
        mean = f"{one.took_ms / one.answers / 1000:.2f} s"
        table.add_row(*shown, f"{one.answers:,}", f"{one.input_tokens:,}", f"{one.output_tokens:,}", mean, cost)
    Console().print(table)
    if any(one.unpriced for one in lines.values()):
        click.echo(say("usage.unpriced", lang))
