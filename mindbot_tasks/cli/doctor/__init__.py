"""`mindbot doctor`: looks for what keeps MindBot from working, and says what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import click

from mindbot_tasks.cli.doctor import engine, media, outside, traces, vendors
from mindbot_tasks.cli.doctor.finding import Finding
from mindbot_tasks.cli.supervision.banner import wide
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import InvalidSettings, Settings, get_settings
from mindbot_tasks.core.words import Lang, lang_of, say

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option("--offline", is_flag=True, help="Do not ask platforms, providers and workflows.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(offline: bool, as_json: bool) -> None:
    """Look for what keeps MindBot from working; exit with 1 when something does."""
    try:
        settings = get_settings()
    except SettingsError as exc:
        _unreadable(exc, as_json=as_json)
        sys.exit(1)
    lang = lang_of(settings.language)
    findings = []
    for finding in examine(settings, offline=offline):
        findings.append(finding)
        if not as_json:
            _show(finding, lang)
    counts = {level: sum(finding.level == level for finding in findings) for level in ("ok", "warn", "fail")}
    if as_json:
        records = [finding.as_record(lang) for finding in findings]
        click.echo(json.dumps({"ok": not counts["fail"], "findings": records}, ensure_ascii=False, indent=2))
    else:
        click.echo(say("doctor.summary", lang, **counts))
    sys.exit(1 if counts["fail"] else 0)


def examine(settings: Settings, *, offline: bool = False) -> Iterator[Finding]:
    """Everything in turn: ourselves, what every message needs, then the vendors."""
    yield from engine.look_at_process()
    yield from engine.look_at_settings(settings)
    database = list(engine.look_at_database(settings))
    yield from database
    yield from engine.look_at_redis(settings)
    if any(finding.what == "database" and finding.level == "ok" for finding in database):
        yield from engine.look_at_workers(settings)
    yield from engine.look_at_bots(settings)
    yield from media.look_at_files(settings, offline=offline)
    yield from media.look_at_knowledge(settings)
    if not offline:
        yield from vendors.look_at_vendors(settings)
        yield from media.look_at_speech(settings)
        yield from outside.look_at_targets(settings)
        yield from traces.look_at_collector(settings)


def _unreadable(exc: SettingsError, *, as_json: bool) -> None:
    lang = lang_of()
    problems = [problem.text(lang) for problem in exc.problems] if isinstance(exc, InvalidSettings) else [str(exc)]
    if as_json:
        records = [{"level": "fail", "what": "settings", "text": text, "advice": None} for text in problems]
        click.echo(json.dumps({"ok": False, "findings": records}, ensure_ascii=False, indent=2))
        return
    for text in problems:
        _line("fail", "settings", text, lang)
    click.echo(say("doctor.nothing_else", lang))


def _show(finding: Finding, lang: Lang) -> None:
    _line(finding.level, finding.what, finding.text.in_(lang), lang)
    if finding.advice is not None:
        click.echo(" " * 28 + say("doctor.do", lang, advice=finding.advice.in_(lang)))


def _line(level: str, what: str, text: str, lang: Lang) -> None:
    label = say(f"doctor.level_{level}", lang)
    padded = label + " " * (4 - wide(label))
    click.echo(f"{click.style(padded, fg=_COLOURS[level])}  {what:<20}  {text}")
