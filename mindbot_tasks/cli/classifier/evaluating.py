"""`mindbot classifier eval`: how often it is right on labelled messages, and what it takes for what."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.chat.learned import current, examples
from mindbot_tasks.chat.learned.examples import Labelled
from mindbot_tasks.chat.learned.measuring import Judged, Report, alone, by_language, judge, report
from mindbot_tasks.chat.learned.model import Model
from mindbot_tasks.cli.classifier.workflows import with_labels
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.settings import ClassifierSettings, Settings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say

LAYERS = ("both", "learned", "patterns")


@click.command("eval")
@click.option(
    "--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="JSON lines with `text` and `label`; "
    "without it, the examples that come with MindBot for this.",
)  # fmt: skip
@click.option("--chatty", is_flag=True, help="Without --file: those that are written as people write in messengers.")
@click.option("--wrong", is_flag=True, help="List every message that was taken for something else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def evaluate(file: Path | None, chatty: bool, wrong: bool, as_json: bool) -> None:
    """Measure the classifier on labelled messages: accuracy, macro-F1 and a confusion table for each language.

    Each message is taken by itself, without a conversation.
    """
    settings = get_settings()
    wanted = examples.read(file) if file else examples.chatty() if chatty else examples.held_out()
    if settings.classifier.enabled:
        current.follow_if_reachable()
    model = current.in_use()
    judged = {}
    median_ms = 0.0
    for layer in LAYERS:
        judged[layer], took_ms = _judged(settings, model, wanted, layer)
        median_ms = took_ms if layer == "both" else median_ms
    if as_json:
        click.echo(json.dumps(_record(judged, median_ms), indent=2, ensure_ascii=False))
        return
    _show(judged, median_ms, lang_of(settings.language))
    if wrong:
        for one in judged["both"]:
            if not one.right:
                click.echo(f"{one.wanted} -> {one.given} {one.confidence:.2f}  {' '.join(one.example.text.split())}")


def _judged(settings: Settings, model: Model, wanted: Sequence[Labelled], layer: str) -> tuple[list[Judged], float]:
    workflows = with_labels(settings, {one.label for one in wanted})
    rules = settings.classifier
    if layer == "patterns" or not rules.enabled:
        rules = ClassifierSettings(enabled=False)
    if layer == "learned":
        workflows = {name: one.model_copy(update={"task_patterns": []}) for name, one in workflows.items()}
    classifier = Classifier(workflows, model if rules.enabled else None, rules)

    def classify(text: str) -> tuple[str, float]:
        found = classifier.classify(text)
        return found.label, found.confidence

    return judge(wanted, classify)


def _record(judged: dict[str, list[Judged]], median_ms: float) -> dict[str, Any]:
    groups = {"all": judged["both"], **by_language(judged["both"])}
    told: dict[str, Any] = {"version": current.version(), "median_ms": round(median_ms, 3)}
    told["layers"] = {layer: round(report(found).accuracy, 4) for layer, found in judged.items()}
    for name, group in groups.items():
        found = report(group)
        told[name] = {
            "count": found.count,
            "accuracy": round(found.accuracy, 4),
            "macro_f1": round(found.macro_f1, 4),
            "calibration_error": round(found.calibration_error, 4),
            "confusion": [
                {"label": was, "taken_for": taken, "count": count}
                for (was, taken), count in sorted(found.confusion.items())
            ],
        }
    return told


def _show(judged: dict[str, list[Judged]], median_ms: float, lang: Lang) -> None:
    console = Console()
    groups = by_language(judged["both"])
    for name, group in groups.items():
        confusion_table(console, report(group), say("classifier.language", lang, name=name), lang)
    table = Table(*(say(f"classifier.head_{head}", lang) for head in ("layer", "language")))
    for head in ("count", "accuracy", "macro_f1", "calibration"):
        table.add_column(say(f"classifier.head_{head}", lang), justify="right")
    for layer in LAYERS:
        for name, group in {"": judged[layer], **by_language(judged[layer])}.items():
            if name or len(groups) > 1:
                table.add_row(say(f"classifier.layer_{layer}", lang), name or "*", *figures(report(group)))
    console.print(table)
    click.echo(say("classifier.took", lang, version=current.version(), ms=f"{median_ms:.2f}"))


def figures(found: Report) -> tuple[str, str, str, str]:
    """Count, accuracy, macro-F1 and calibration error, for a table."""
    accuracy, error = f"{found.accuracy:.1%}", f"{found.calibration_error:.3f}"
    return str(found.count), accuracy, f"{found.macro_f1:.3f}", error


def confusion_table(console: Console, found: Report, title: str, lang: Lang) -> None:
    """A row for what messages were, a column for what they were taken for."""
    names = [one.label for one in found.labels]
    table = Table(say("classifier.was_taken", lang), title=title, title_justify="left")
    for number, _ in enumerate(names, 1):
        table.add_column(str(number), justify="right")
    table.add_column("F1", justify="right")
    for number, one in enumerate(found.labels, 1):
        counts = [found.confusion.get((one.label, other), 0) for other in names]
        table.add_row(
            f"{number} {alone(one.label)}", *(str(count) if count else "·" for count in counts), f"{one.f1:.2f}"
        )
    console.print(table)
