"""`mindbot config`: what is on and why not, the JSON Schema, and the tables of the documentation."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from mindbot_tasks.cli.config_rows import Row, rows_of
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import InvalidSettings, Settings
from mindbot_tasks.core.settings.load import load
from mindbot_tasks.core.words import Lang, lang_of, say


@click.group()
def config() -> None:
    """Check the configuration; print its schema."""


@config.command()
@click.option("--file", "file", type=click.Path(path_type=Path, dir_okay=False), help="Instead of mindbot.yaml.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(file: Path | None, as_json: bool) -> None:
    """Say what is on and off and why; exit with 1 when something is wrong."""
    try:
        settings = load(file)
    except InvalidSettings as exc:
        lang = lang_of()
        if as_json:
            click.echo(json.dumps({"problems": [one.text(lang) for one in exc.problems]}, ensure_ascii=False, indent=2))
            sys.exit(1)
        for problem in exc.problems:
            click.echo(problem.text(lang), err=True)
        click.echo(say("config.problems", lang, count=len(exc.problems)), err=True)
        sys.exit(1)
    except SettingsError as exc:
        if as_json:
            click.echo(json.dumps({"problems": [str(exc)]}, ensure_ascii=False, indent=2))
        else:
            click.echo(str(exc), err=True)
        sys.exit(1)
    lang = lang_of(settings.language)
    rows = rows_of(settings, lang)
    if as_json:
        told = {
            "problems": [],
            "files": [str(path) for path in settings.read_from],
            "rows": [{"kind": row.kind, "name": row.name, "on": row.on, "why": row.why} for row in rows],
            "warnings": [
                *(f"{row.name}: {row.why}" for row in rows if row.wrong),
                *(one.text(lang) for one in settings.warnings),
            ],
        }
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    files = ", ".join(str(path) for path in settings.read_from) or say("config.no_file", lang)
    click.echo(say("config.read", lang, files=files))
    (_pretty if sys.stdout.isatty() else _plain)(rows, lang)
    for row in rows:
        if row.wrong:
            click.echo(say("config.warning", lang, text=f"{row.name}: {row.why}"))
    for warning in settings.warnings:
        click.echo(say("config.warning", lang, text=warning.text(lang)))
    click.echo(_summary(settings, rows, lang))


def _summary(settings: Settings, rows: Sequence[Row], lang: Lang) -> str:
    on = sum(row.on is True for row in rows)
    off = sum(row.on is False for row in rows)
    return say("config.fine", lang, on=on, off=off, warnings=len(settings.warnings) + sum(row.wrong for row in rows))


def _state(row: Row, lang: Lang) -> str:
    return say({True: "config.on", False: "config.off", None: "config.absent"}[row.on], lang)


def _plain(rows: Sequence[Row], lang: Lang) -> None:
    width = max(len(row.name) for row in rows)
    for row in rows:
        click.echo(f"{_state(row, lang):<4} {row.kind:<10} {row.name:<{width}}  {row.why}".rstrip())


def _pretty(rows: Sequence[Row], lang: Lang) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*(say(f"config.head_{head}", lang) for head in ("kind", "name", "state", "why")))
    colours = {True: "green", False: "yellow", None: "dim"}
    for row in rows:
        state = f"[{colours[row.on]}]{_state(row, lang)}[/]"
        table.add_row(row.kind, escape(row.name), state, escape(row.why))
    Console().print(table)


@config.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file, instead of standard output.")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of mindbot.yaml, for editors."""
    from mindbot_tasks.core.settings.schema import schema_text

    _write(schema_text(), output)


@config.command()
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True)
@click.option("--into", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Replace the tables there.")
def reference(lang: Lang, into: Path | None) -> None:
    """Print the tables of all keys (Markdown), as docs/configuration.md has them."""
    from mindbot_tasks.core.settings.schema import tables

    if into is None:
        click.echo(tables(lang), nl=False)
        return
    before, _, _ = into.read_text(encoding="utf-8").partition(MARK)
    into.write_text(f"{before}{MARK}\n\n{tables(lang)}", encoding="utf-8")


MARK = "<!-- from here on: mindbot config reference -->"


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")
