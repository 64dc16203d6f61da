"""`mindbot workflows`: how well each workflow does, what people go on with, and which variant is better."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mindbot_tasks import standing
from mindbot_tasks.chat import comparison
from mindbot_tasks.chat.figures import Figures, figures
from mindbot_tasks.cli import tables
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.errors import MindBotError
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.standing import WORKFLOW, Standing
from mindbot_tasks.stores.tallies import Tally

F = TypeVar("F", bound=Callable[..., Any])
_SHORT = ("calls", "success", "times", "satisfaction", "errors")  #: as wide as a terminal
_ALL = ("calls", "success", "times", "thumbs", "reasked", "satisfaction", "recovery", "skipped", "errors")


def _days(default: int) -> Callable[[F], F]:
    return click.option(
        "--days", default=default, show_default=True, type=click.IntRange(1, 400), help="How far back, today included."
    )


def _as_json() -> Callable[[F], F]:
    return click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")


@click.group(invoke_without_command=True)
@_days(7)
@click.option("--all", "everybody", is_flag=True, help="Models and the agent too.")
@_as_json()
@click.pass_context
@told_plainly
def workflows(context: click.Context, days: int, everybody: bool, as_json: bool) -> None:
    """List the workflows with answers, times, satisfaction and errors of the last days. Days are those of UTC."""
    if context.invoked_subcommand is not None:
        return
    settings = get_settings()
    lang = lang_of(settings.language)
    found = standing.of_answerers(settings, days, everybody=everybody)
    if as_json:
        click.echo(json.dumps([_told(one) for one in found], indent=2, ensure_ascii=False))
        return
    if not any(one.figures.calls or one.figures.skipped for one in found):
        click.echo(say("routing.nothing", lang, days=days))
    if not found:
        return
    rows = []
    for one in found:
        cells = _cells(one.figures)
        state = _state(one)
        name = _short(one.figures.answerer)
        name = name if state == "well" else f"{name} ({say(f'routing.{state}', lang)})"
        rows.append([name, *(cells[head] for head in _SHORT)])
    heads = [say(f"routing.head_{head}", lang) for head in ("workflow", *_SHORT)]
    tables.show(heads, rows, right=range(1, len(_SHORT)), fold=(len(_SHORT),))
    click.echo(say("routing.satisfaction_is", lang))


@workflows.command()
@click.argument("name")
@_days(30)
@_as_json()
@told_plainly
def show(name: str, days: int, as_json: bool) -> None:
    """Show one workflow: its figures, its variants, and what people go on with."""
    settings = get_settings()
    lang = lang_of(settings.language)
    found = {one.figures.answerer: one for one in standing.of_answerers(settings, days, everybody=True)}
    one = found.get(WORKFLOW + name) or found.get(name)
    if one is None:
        known = ", ".join(_short(answerer) for answerer in found) or "-"
        raise MindBotError(say("routing.no_such", lang, name=name, known=known))
    variants = [figures(name, variant, sums) for variant, sums in sorted(standing.of_variants(name, days).items())]
    next_ones = standing.after(settings, "", "", name)
    if as_json:
        told = {
            **_told(one),
            "variants": [asdict(variant) for variant in variants],
            "next": [asdict(recommendation) for recommendation in next_ones],
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    columns = {_short(one.figures.answerer): _cells(one.figures), **{each.variant: _cells(each) for each in variants}}
    Console().print(_upright(columns, _ALL, lang))
    click.echo(say("routing.state_is", lang, state=say(f"routing.{_state(one)}", lang)))
    click.echo(say("routing.satisfaction_is", lang))
    if next_ones:
        what = ", ".join(f"{each.workflow} {each.share:.0%}" for each in next_ones)
        click.echo(say("routing.goes_on", lang, what=what))


@workflows.command()
@click.argument("name")
@_days(30)
@_as_json()
@told_plainly
def ab(name: str, days: int, as_json: bool) -> None:
    """Compare the variants of a workflow, and say which differences are more than chance."""
    settings = get_settings()
    lang = lang_of(settings.language)
    shares = _shares(settings, name)
    sums = standing.of_variants(name, days)
    if not shares and not sums:
        raise MindBotError(say("routing.no_experiment", lang, name=name))
    for variant in shares:
        sums.setdefault(variant, Tally())
    report = [figures(name, variant, tally) for variant, tally in sorted(sums.items())]
    compared = comparison.compare(dict(sorted(sums.items())))
    if as_json:
        told = {
            "workflow": name,
            "variants": [{**asdict(one), "share": shares.get(one.variant, 0.0)} for one in report],
            "comparisons": [asdict(one) for one in compared],
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    columns = {one.variant: {"share": f"{shares.get(one.variant, 0.0):.0%}", **_cells(one)} for one in report}
    Console().print(_upright(columns, ("share", *_ALL), lang))
    verdicts = Table(*(say(f"routing.head_{head}", lang) for head in ("variant", "what", "p", "verdict")))
    for each in compared:
        verdicts.add_row(
            escape(say("routing.compared", lang, one=each.one, other=each.other)),
            say(f"routing.{each.what}", lang),
            "-" if each.p is None else f"{each.p:.3g}",
            _verdict(each, lang),
        )
    Console().print(verdicts)
    made = sum(each.p is not None for each in compared)
    if made:
        click.echo(say("routing.p_is", lang, count=made, limit=comparison.REAL))


def _verdict(each: comparison.Comparison, lang: Lang) -> str:
    if each.p is None:
        return say("routing.too_few", lang)
    return say("routing.better", lang, name=each.better) if each.better else say("routing.no_difference", lang)


def _shares(settings: Settings, name: str) -> dict[str, float]:
    """The share of the people that each variant is given, by the weights."""
    workflow = settings.workflows.get(name)
    weights = {variant: one.weight for variant, one in workflow.variants.items()} if workflow else {}
    total = sum(weights.values())
    return {variant: weight / total if total else 0.0 for variant, weight in weights.items()}


def _upright(columns: Mapping[str, Mapping[str, str]], heads: Sequence[str], lang: Lang) -> Table:
    """One column for each, one row for each figure."""
    table = Table("", *(escape(name) for name in columns))
    for head in heads:
        table.add_row(say(f"routing.head_{head}", lang), *(escape(cells[head]) for cells in columns.values()))
    return table


def _cells(one: Figures) -> dict[str, str]:
    times = "-" if one.p50_s is None else f"{_seconds(one.p50_s)} / {_seconds(one.p95_s)}"
    return {
        "calls": f"{one.calls:,}",
        "success": _share(one.success),
        "times": times,
        "thumbs": f"{one.up} / {one.down}",
        "reasked": str(one.reasked),
        "satisfaction": "-" if one.satisfaction is None else f">= {one.satisfaction:.0%}",
        "recovery": _share(one.recovery),
        "skipped": str(one.skipped),
        "errors": ", ".join(f"{kind} {count}" for kind, count in one.errors.items()) or "-",
    }


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def _short(answerer: str) -> str:
    return answerer.removeprefix(WORKFLOW)


def _state(one: Standing) -> str:
    return "demoted" if one.demoted else "well" if one.on else "off"


def _told(one: Standing) -> dict[str, Any]:
    return {"name": _short(one.figures.answerer), **asdict(one.figures), "demoted": one.demoted, "on": one.on}
