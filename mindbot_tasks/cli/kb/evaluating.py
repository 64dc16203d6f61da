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

    Without a file: MindBot's own questions about its docs, so run `mindbot kb add docs/` before.
    """
    settings = get_settings()
    lang = lang_of(settings.language)
    questions = evaluation.read(file) if file else evaluation.shipped()
    report = evaluation.measure(settings, questions, [base_named(settings, base)])
    if as_json:
        click.echo(json.dumps([figures.as_record() for figures in report], indent=2))
        return
    table = Table(*(say(f"kb.head_{name}", lang) for name in _HEADS), "hit@1", "hit@5", "MRR",
                  say("kb.head_kept", lang), say("kb.head_refused", lang))  # fmt: skip
    for one in report:
        table.add_row(
            say(f"kb.mode_{one.mode}", lang), one.language or "*", str(one.questions), f"{one.hit_1:.1%}",
            f"{one.hit_5:.1%}", f"{one.mrr:.3f}", f"{one.kept:.1%}", f"{one.refused:.1%}",
        )  # fmt: skip
    Console().print(table)
    if wrong:
        for missed in evaluation.missed(settings, questions, [base_named(settings, base)]):
            click.echo(missed)
