"""`mindbot kb eval`: how well passages are found, on questions of which the right passage is known."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.kb.common import base_named
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import lang_of, say
from mindbot_tasks.knowledge import evaluation

_HEADS = ("mode", "language", "questions")


@click.command("eval")
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="JSON lines: question, source, says (words of the passage).")  # fmt: skip
@click.option("--base", default="", metavar="NAME", help="Which knowledge base; default: chromadb.collection_name.")
@click.option("--wrong", is_flag=True, help="List every question that was not answered by the right passage first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def evaluate(file: Path | None, base: str, wrong: bool, as_json: bool) -> None:
    """Measure retrieval: hit@1, hit@5, MRR, and how many unanswerable questions are refused.

    Without a file: MindBot's own questions about its docs, so run `mindbot kb add docs/` before; those on which it was
    tuned, and others on which it was not.
    """
    settings = get_settings()
    lang = lang_of(settings.language)
    sets = {str(file): evaluation.read(file)} if file else {name: evaluation.shipped(name) for name in evaluation.SETS}
    bases = [base_named(settings, base)]
    reports = {name: evaluation.measure(settings, questions, bases) for name, questions in sets.items()}
    if as_json:
        told = [{"set": name, **figures.as_record()} for name, report in reports.items() for figures in report]
        click.echo(json.dumps(told, indent=2))
        return
    for name, report in reports.items():
        title = say(f"kb.set_{name}", lang) if not file else name
        table = Table(*(say(f"kb.head_{head}", lang) for head in _HEADS), "hit@1", "hit@5", "MRR",
                      say("kb.head_kept", lang), say("kb.head_refused", lang), title=title)  # fmt: skip
        for one in report:
            table.add_row(
                say(f"kb.mode_{one.mode}", lang), one.language or "*", str(one.questions), f"{one.hit_1:.1%}",
                f"{one.hit_5:.1%}", f"{one.mrr:.3f}", f"{one.kept:.1%}", f"{one.refused:.1%}",
            )  # fmt: skip
        Console().print(table)
        if wrong:
            for missed in evaluation.missed(settings, sets[name], bases):
                click.echo(missed)
