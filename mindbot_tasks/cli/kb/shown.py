"""`mindbot kb list`, `show` and `search`."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.kb.common import base_named, numbers_of
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.knowledge import retrieval
from mindbot_tasks.stores import knowledge, knowledge_chunks
from mindbot_tasks.stores.database import reading

_WIDE = 160
_COLUMNS = ("id", "base", "source", "state", "chunks", "embedded")


@click.command("list")
@click.option("--base", default="", metavar="NAME", help="Only of this knowledge base.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@told_plainly
def list_documents(base: str, as_json: bool) -> None:
    """List documents, how far each is, and what went wrong."""
    lang = lang_of(get_settings().language)
    with reading() as connection:
        rows = knowledge.listed(connection, base)
    if as_json:
        click.echo(json.dumps([dict(row._mapping) for row in rows], ensure_ascii=False, indent=2))
        return
    if not rows:
        click.echo(say("kb.empty", lang))
        return
    columns = [name for name in _COLUMNS if name != "base" or len({row.base for row in rows}) > 1]
    table = Table(*(Column(say(f"kb.head_{name}", lang), overflow="fold") for name in columns))
    for row in rows:
        shown = {
            "id": str(row.id), "base": row.base, "source": row.source, "state": _state(row, lang),
            "chunks": str(row.chunks), "embedded": str(row.embedded),
        }  # fmt: skip
        table.add_row(*(escape(shown[name]) for name in columns))
    console = Console()
    if not console.is_terminal:
        console.width = _WIDE  # for `grep`: a line for each
    console.print(table)
    for row in rows:
        if row.error or row.note:
            click.echo(f"{row.id}  {row.source}: {row.error or row.note}")


def _state(row: Any, lang: Lang) -> str:
    waits = row.error and row.state not in (knowledge.FAILED, knowledge.READY, knowledge.REMOVING)
    return say("kb.state_waits" if waits else f"kb.state_{row.state}", lang)


@click.command()
@click.argument("document")
@click.option("--base", default="", metavar="NAME", help="Which knowledge base; default: chromadb.collection_name.")
@told_plainly
def show(document: str, base: str) -> None:
    """Show DOCUMENT (a number or a source) and the pieces into which it was cut."""
    settings = get_settings()
    lang = lang_of(settings.language)
    name = base_named(settings, base)
    for number in numbers_of(settings, document, name, lang):
        with reading() as connection:
            row = knowledge.listed(connection, ids=[number])[0]
            found = knowledge_chunks.passages(connection, knowledge_chunks.every(connection, number), [row.base])
        click.echo(f"{row.id}  {row.source}  {say(f'kb.state_{row.state}', lang)}  {row.error or row.note}".rstrip())
        for passage, position in sorted(found.values(), key=lambda one: one[1]):
            click.echo(f"\n[{position}] {passage.cited}")
            click.echo(passage.text)


@click.command()
@click.argument("question")
@click.option("--base", "bases", multiple=True, metavar="NAME", help="Knowledge bases to search; may be repeated.")
@click.option("--mode", type=click.Choice(["hybrid", "dense", "lexical"]), default="hybrid", show_default=True)
@click.option("--all", "everything", is_flag=True, help="Also what scores too low to be used.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def search(question: str, bases: tuple[str, ...], mode: retrieval.Mode, everything: bool, as_json: bool) -> None:
    """Show the passages that would go along with QUESTION."""
    settings = get_settings()
    lang = lang_of(settings.language)
    found = retrieval.search(
        settings, question, [base_named(settings, base) for base in bases or ("",)], Deadline(30), mode=mode,
        min_score=0.0 if everything else None,
    )  # fmt: skip
    if as_json:
        told = [{**passage.as_record(), "text": passage.text} for passage in found.passages]
        click.echo(json.dumps({"passages": told, "trouble": found.trouble}, ensure_ascii=False, indent=2))
        return
    if found.trouble:
        click.echo(say(f"kb.trouble_{found.trouble}", lang), err=True)
    if found.nothing_read:
        click.echo(say("kb.not_read", lang))
    for number, passage in enumerate(found.passages, 1):
        click.echo(click.style(f"[{number}] {passage.score:.2f}  {passage.cited}  ({passage.source})", bold=True))
        click.echo(passage.text + "\n")
