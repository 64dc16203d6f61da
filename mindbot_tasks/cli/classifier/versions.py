"""`mindbot classifier list` and `activate`: the trained versions, and what was collected for the next one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from mindbot_tasks.chat.learned import current
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.core.words import Lang, lang_of, say
from mindbot_tasks.stores import learning
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.learning import Example, Version

_SHOWN = 20
SHIPPED = "shipped"


@click.command("list")
@click.option("--examples", "only_examples", is_flag=True, help="All collected examples as JSON lines, for `--file`.")
@click.option("--json", "as_json", is_flag=True, help="The versions as one JSON object.")
@told_plainly
def list_versions(only_examples: bool, as_json: bool) -> None:
    """List the trained versions, and the newest examples that were collected."""
    lang = lang_of(get_settings().language)
    with reading() as connection:
        versions = learning.versions(connection)
        examples = learning.examples(connection, limit=None if only_examples else _SHOWN)
    if only_examples:
        for one in examples:
            line = {"text": one.text, "label": one.label, "message_id": one.message_id, "source": one.source}
            click.echo(json.dumps(line, ensure_ascii=False))
        return
    if as_json:
        told = [
            {"version": one.version, "created_at": one.created_at, "active": one.active, **one.figures}
            for one in versions
        ]
        shipped_in_use = not any(one.active for one in versions)
        click.echo(json.dumps({"versions": told, "shipped_active": shipped_in_use}, ensure_ascii=False, indent=2))
        return
    console = Console()
    console.print(_versions(versions, lang))
    if examples:
        console.print(_examples(examples, lang))
    else:
        click.echo(say("classifier.no_examples", lang))


def _versions(versions: list[Version], lang: Lang) -> Table:
    table = Table(
        *(say(f"classifier.head_{head}", lang) for head in ("version", "trained", "active", "examples", "held"))
    )
    for one in versions:
        figures = one.figures
        held = f"{figures.get('held_out_accuracy', 0):.1%} ({figures.get('old_accuracy', 0):.1%})"
        table.add_row(
            str(one.version), _when(one.created_at), "*" if one.active else "", str(figures.get("examples")), held
        )
    nobody = not any(one.active for one in versions)
    count = current.shipped().about.get("examples", "")
    table.add_row(f"{current.SHIPPED} ({SHIPPED})", "-", "*" if nobody else "", str(count), "-")
    return table


def _examples(examples: Sequence[Example], lang: Lang) -> Table:
    heads = ("message", "label", "taken_for", "source", "text")
    table = Table(*(say(f"classifier.head_{head}", lang) for head in heads))
    for one in examples:
        words = " ".join(one.text.split())
        shown = words if len(words) <= 60 else words[:59] + "…"
        table.add_row(str(one.message_id), one.label, one.taken_for, say(f"classifier.from_{one.source}", lang), shown)
    return table


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")


@click.command()
@click.argument("version")
@told_plainly
def activate(version: str) -> None:
    """Use VERSION (a number of `list`, or "shipped") from now on; workers notice it within seconds."""
    lang = lang_of(get_settings().language)
    number = (
        current.SHIPPED if version == SHIPPED else int(version) if version.isdecimal() and len(version) < 18 else -1
    )
    with transaction() as connection:
        if number < 0 or not learning.activate(connection, number):
            raise PayloadInvalid(say("classifier.no_version", lang, version=version))
    click.echo(say("classifier.now_active", lang, version=number))
