"""`mindbot tools`: what the agent can do besides talking, how each tool fares, and one call of one of them by hand."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import click

from mindbot_tasks.cli import tables
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.words import Lang, Sentence, lang_of, say
from mindbot_tasks.llm import agent as agents
from mindbot_tasks.llm.agent.tools import catalogue, running
from mindbot_tasks.llm.agent.tools.base import Call, Tool
from mindbot_tasks.llm.base import Question, Wishes
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.stores import performance


@dataclass(frozen=True, slots=True)
class Line:
    """One tool and what all workers saw of it in the last ten minutes."""

    tool: Tool
    calls: int
    failed: int
    mean_ms: int | None


@click.group()
def tools() -> None:
    """List the agent's tools; call one."""


def _found(settings: Settings, bot: str) -> catalogue.Found:
    platform, _, name = bot.partition(":")
    allowed = settings.bot(platform, name or "default").tools if bot else []
    try:
        return catalogue.of_settings(settings, Wishes(tools=tuple(allowed)))
    finally:
        agents.stop()  # the servers of tools are started again for a call


@tools.command(name="list")
@click.option("--bot", default="", help="Those of one bot, as PLATFORM:NAME.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@told_plainly
def list_tools(bot: str, as_json: bool) -> None:
    """Every tool, whether it asks before it runs, and how it did in the last ten minutes."""
    settings = get_settings()
    lang = lang_of(settings.language)
    found = _found(settings, bot)
    seen = performance.seen([running.key_of(tool) for tool in found.tools.values()])
    lines = []
    for tool in found.tools.values():
        one = seen.get(running.key_of(tool), performance.Seen())
        mean_ms = None if one.latency_s is None else round(one.latency_s * 1000)
        lines.append(Line(tool, one.calls, one.calls - one.ok, mean_ms))
    if as_json:
        click.echo(json.dumps({"tools": [_record(line) for line in lines], "missing": dict(found.missing)}))
        return
    _show(lines, lang)
    for name, why in found.missing.items():
        click.echo(say("agent.tool_missing", lang, name=name, why=why.in_(lang) if isinstance(why, Sentence) else why))
    if not lines and not found.missing:
        click.echo(say("agent.no_tools", lang))


def _record(line: Line) -> dict[str, Any]:
    return {
        "name": line.tool.name,
        "group": line.tool.group,
        "asks_first": line.tool.effects,
        "outside": line.tool.outside,
        "calls": line.calls,
        "failed": line.failed,
        "mean_ms": line.mean_ms,
        "schema": dict(line.tool.schema),
    }


def _show(lines: list[Line], lang: Lang) -> None:
    if not lines:
        return
    heads = [say(f"agent.head_{head}", lang) for head in ("tool", "group", "asks", "calls", "failed", "mean", "about")]
    rows = []
    for line in lines:
        about = line.tool.description.splitlines()[0].partition(". ")[0]  # its first sentence
        asks = say("agent.asks" if line.tool.effects else "agent.asks_not", lang)
        mean = "-" if line.mean_ms is None else f"{line.mean_ms} ms"
        rows.append([line.tool.name, line.tool.group or "-", asks, str(line.calls), str(line.failed), mean, about])
    tables.show(heads, rows, right=(3, 4, 5), fold=(6,))


@tools.command(name="test")
@click.argument("name")
@click.argument("arguments", default="{}")
@click.option("--yes", is_flag=True, help="Also a tool that would ask before it runs.")
@click.option("--json", "as_json", is_flag=True, help="Result, outcome and time as one JSON object.")
@told_plainly
def test_tool(name: str, arguments: str, yes: bool, as_json: bool) -> None:
    """Call one tool with ARGUMENTS, a JSON object; exit code 1 when it does not work."""
    settings = get_settings()
    lang = lang_of(settings.language)
    try:
        given = json.loads(arguments)
    except json.JSONDecodeError as exc:
        raise click.BadParameter(str(exc), param_hint="ARGUMENTS") from exc
    try:
        tool = catalogue.of_settings(settings, Wishes()).tools.get(catalogue.our_name(name))
        if tool is None:
            click.echo(say("agent.no_such_tool", lang), err=True)
            sys.exit(1)
        if tool.effects and not yes:
            click.echo(say("agent.say_yes", lang, tool=tool.name), err=True)
            sys.exit(1)
        result = running.run(tool, given, Call(settings, _question(lang), Deadline(300)))
    finally:
        agents.stop()
    if as_json:
        told = {"tool": tool.name, "outcome": result.outcome, "took_ms": result.took_ms, "text": result.text}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        click.echo(result.text)
        click.echo(f"{result.outcome}, {result.took_ms} ms", err=True)
    sys.exit(0 if result.ok else 1)


def _question(lang: Lang) -> Question:
    """Nobody's: of message 0, which does not exist, in a conversation of the command line's own."""
    return Question(0, "", (), Classification("", 0.0, ""), "cli:tools", "cli:default:tools", lang)
