"""`mindbot explain "text"`: how a message would be classified and who would be asked for its answer, and why."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.chat.learned import current
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.llm import catalogue, registry
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.stores import performance


@click.command()
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def explain(text: str, as_json: bool) -> None:
    """Say how TEXT would be classified, and who would be asked for the answer in which order. Asks nobody."""
    settings = get_settings()
    lang = lang_of(settings.language)
    if settings.classifier.enabled:
        current.follow_if_reachable()
    classification = Classifier.of(settings.workflows, rules=settings.classifier).classify(text)
    rows = _rows(settings, classification.label, lang)
    if as_json:
        told = {
            "label": classification.label,
            "confidence": classification.confidence,
            "reason": classification.reason,
            "scores": dict(classification.scores),
            "strategy": settings.provider_selection.strategy,
            "order": rows,
            "off": {**settings.off, **catalogue.not_built(settings)},
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    _show(settings, classification, rows, lang)


def _rows(settings: Settings, label: str, lang: Lang) -> list[dict[str, Any]]:
    """One for each way to answer, in the order in which they are asked just now."""
    ways = registry.answerers(settings, label)
    seen = performance.seen([way.answerer.name for way in ways])
    rows = []
    for way in ways:
        name = way.answerer.name
        kind, _, of = name.partition(":")
        lately = seen.get(name, performance.Seen())
        rows.append(
            {
                "answerer": name,
                "why": _why(kind, of, label, settings, lang),
                "timeout_s": way.timeout_s,
                "calls": lately.calls,
                "success": round(lately.success, 3) if lately.calls else None,
                "latency_s": None if lately.latency_s is None else round(lately.latency_s, 2),
            }
        )
    return rows


def _why(kind: str, of: str, label: str, settings: Settings, lang: Lang) -> str:
    if kind == "workflow":
        return say("explain.its_workflow" if of == label else "explain.helps_out", lang)
    if kind == "provider":
        chosen = settings.provider_selection
        why = say(f"explain.by_{chosen.strategy}", lang)
        return f"{why}, {say('explain.cheapest', lang)}" if chosen.cost_optimization else why
    return say("explain.nobody_else", lang)


def _show(settings: Settings, classification: Classification, rows: list[dict[str, Any]], lang: Lang) -> None:
    click.echo(
        say(
            "explain.label", lang, label=classification.label, confidence=f"{classification.confidence:.0%}",
            reason=classification.reason,
        )
    )  # fmt: skip
    if len(classification.scores) > 1:
        scores = sorted(classification.scores.items(), key=lambda pair: -pair[1])
        click.echo(say("explain.scores", lang, scores=", ".join(f"{name} {score:g}" for name, score in scores)))
    table = Table(*(say(f"explain.head_{head}", lang) for head in ("order", "answerer", "why", "lately")))
    for number, row in enumerate(rows, 1):
        lately = "-"
        if row["calls"]:
            latency = "" if row["latency_s"] is None else f", {row['latency_s']:g} s"
            lately = say("explain.lately", lang, calls=row["calls"], success=f"{row['success']:.0%}") + latency
        table.add_row(str(number), row["answerer"], row["why"], lately)
    Console().print(table)
    for path, reason in {**settings.off, **catalogue.not_built(settings)}.items():
        if path.startswith(("providers.", "workflows.")):
            click.echo(say("explain.off", lang, path=path, reason=reason))
