"""`mindbot classifier explain`: everything that led to a decision."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from mindbot_tasks.chat.classification import Classifier, Explanation
from mindbot_tasks.chat.learned import current
from mindbot_tasks.cli.classifier.workflows import with_labels
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import Lang, lang_of, say


@click.command()
@click.argument("text")
@click.option("--after", default="", metavar="LABEL", help="The workflow of the message before it.")
@click.option("--minutes", type=click.FloatRange(0), default=1.0, show_default=True, help="How long ago that was.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def explain(text: str, after: str, minutes: float, as_json: bool) -> None:
    """Say which workflow TEXT would be for, and what speaks for it: patterns, what was learned, the conversation."""
    settings = get_settings()
    if settings.classifier.enabled:
        current.follow_if_reachable()
    lang = lang_of(settings.language)
    # without any workflow in the configuration: what it would be among those that the model knows
    workflows = settings.workflows or with_labels(settings, current.in_use().labels)
    recent = [(after, int(minutes * 60_000))] if after else []
    found = Classifier.of(workflows, rules=settings.classifier).explain(text, recent=recent)
    if as_json:
        click.echo(json.dumps(_record(found), indent=2, ensure_ascii=False))
    else:
        _show(found, lang)


def _record(found: Explanation) -> dict[str, Any]:
    outcome, context = found.outcome, found.context
    return {
        "label": outcome.label,
        "confidence": outcome.confidence,
        "reason": outcome.reason,
        "threshold": found.threshold,
        "patterns": {name: {"score": hit.score, "words": list(hit.words)} for name, hit in found.hits.items()},
        "learned": {label: round(share, 4) for label, share in found.learned.items()},
        "pieces": {
            label: {piece.feature: round(piece.weight, 3) for piece in pieces} for label, pieces in found.pieces.items()
        },
        "context": {"label": context.label, "weight": context.weight} if context else None,
        "fused": {label: round(share, 4) for label, share in found.fused.items()},
        "version": current.version(),
    }


def _show(found: Explanation, lang: Lang) -> None:
    outcome = found.outcome
    click.echo(
        say("explain.label", lang, label=outcome.label, confidence=f"{outcome.confidence:.0%}", reason=outcome.reason)
    )
    table = Table(
        *(say(f"classifier.head_{head}", lang) for head in ("label", "patterns", "learned", "fused", "pieces"))
    )
    names = sorted({*found.hits, *found.learned, *found.fused}, key=lambda name: -found.fused.get(name, 0.0))
    for name in names:
        hit = found.hits.get(name)
        words = f"{hit.score:g}: {', '.join(hit.words)}" if hit else ""
        pieces = "  ".join(f"{_named(piece.feature)} {piece.weight:.1f}" for piece in found.pieces.get(name, ())[:8])
        shares = (f"{shares[name]:.3f}" if name in shares else "" for shares in (found.learned, found.fused))
        table.add_row(name, words, *shares, pieces)
    Console().print(table)
    context = found.context
    told = say("classifier.context", lang, label=context.label, weight=f"{context.weight:.2f}") if context else ""
    click.echo(told or say("classifier.no_context", lang))
    click.echo(say("classifier.threshold", lang, threshold=found.threshold, version=current.version()))


def _named(feature: str) -> str:
    """A feature as people read it: spaces at its ends are the ends of a word."""
    return feature.replace("[", "\\[").replace(" ", "␣")
