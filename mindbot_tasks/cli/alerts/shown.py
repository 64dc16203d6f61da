"""`mindbot alerts list|show|metrics|stats`: what fires, what happened, and how everything is."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from mindbot_tasks.cli.alerts.common import clock, console, language, manager, tell
from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.messages import Since
from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.stores import alerts as store
from mindbot_tasks.stores import history, outbox, workers
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.records import Record

_COLOURS = {"critical": "red", "high": "bright_red", "medium": "yellow", "low": "green"}


@click.command(name="list")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@click.option("--rule", default="", help="Only of this rule.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@told_plainly
def list_(everything: bool, rule: str, limit: int, as_json: bool) -> None:
    """Alerts that are open, newest first."""
    with reading() as connection:
        rows = history.listed(connection, state="" if everything else "open", rule=rule, limit=limit)
    if as_json:
        for row in rows:
            click.echo(json.dumps(record_of(row), ensure_ascii=False))
        return
    if not rows:
        click.echo(tell("none"))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("code", "severity", "rule", "state", "since", "level", "about"):
        table.add_column(tell(f"column_{name}"))
    for row in rows:
        state = f"{row['state']} ({row['muted_by']})" if row["muted_by"] else row["state"]
        cells = [row["code"], row["severity"], row["rule"], state, clock(row["fired_at"]), str(level_of(row)),
                 row["summary"] or row["component"]]  # fmt: skip
        colour = _COLOURS.get(row["severity"], "")
        table.add_row(
            *(f"[{colour}]{escape(cell)}[/]" if place == 1 else escape(cell) for place, cell in enumerate(cells))
        )
    console().print(table, soft_wrap=True)


def level_of(row: Record) -> int:
    """The level that was told last."""
    levels = row["policy"].get("levels") or [0]
    return int(levels[min(row["step"], len(levels)) - 1]) if row["step"] else 0


def record_of(row: Record) -> dict[str, Any]:
    """For programs: without the policy, which is large, and holds people's numbers."""
    left_out = ("policy", "fingerprint")
    return {**{name: value for name, value in row.items() if name not in left_out}, "level": level_of(row)}


@click.command()
@click.argument("code")
@click.option("--json", "as_json", is_flag=True)
@told_plainly
def show(code: str, as_json: bool) -> None:
    """One alert: why it fires, and what happened, by whom and when."""
    with reading() as connection:
        row = store.by_code(connection, code)
        if row is None:
            raise SettingsError(tell("unknown", code=store.normal_code(code)))
        happened = history.of(connection, row["id"])
        told = outbox.of_alert(connection, row["id"])
    if as_json:
        notices = [{name: value for name, value in one.items() if name not in ("content", "address")} for one in told]
        click.echo(json.dumps({**record_of(row), "history": happened, "notifications": notices}, ensure_ascii=False))
        return
    out = console()
    out.print(f"[bold]{row['code']}[/] {row['severity']} {escape(row['rule'])}: {row['state']}")
    out.print(escape(f"  {row['summary']}"))
    out.print(escape(f"  {row['policy'].get('condition', '')}"))
    for line in timeline(row, happened, told):
        out.print(escape(f"  {line}"))


def timeline(row: Record, happened: list[Record], told: list[Record]) -> list[str]:
    """What happened and who was told, in order; seconds since the alert opened."""
    lines = [
        (one["at"], " ".join(part for part in (one["kind"], one["actor"], one["note"]) if part)) for one in happened
    ]
    for one in told:
        what = f"{one['event']} → {one['recipient']} ({one['channel']}): {one['status']}"
        extra = [
            one["notifier"] or "",
            one["error"] or "",
            f"{one['cost']} {one['currency'] or ''}" if one["cost"] else "",
        ]
        lines.append((one["accepted_at"] or one["created_at"], " ".join(part for part in (what, *extra) if part)))
    began = row["opened_at"]
    return [f"{clock(at)} +{(at - began) / 1000:.1f}s {text}" for at, text in sorted(lines, key=lambda line: line[0])]


@click.command()
@click.option("--json", "as_json", is_flag=True)
@told_plainly
def metrics(as_json: bool) -> None:
    """Every metric that conditions can use, with its present values."""
    from mindbot_tasks.alerting.figures import figure
    from mindbot_tasks.alerting.judging import look
    from mindbot_tasks.core.alert_metrics import METRICS

    lang = language()
    with reading() as connection:
        seen = look(connection, manager(), now=workers.database_time(connection))
    names = [*METRICS, *(name for name in seen.known if name not in METRICS)]
    if as_json:
        click.echo(json.dumps({name: seen.values.get(name, {}) for name in names}, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("metric", "value", "meaning"):
        table.add_column(tell(f"column_{name}"))
    for name in names:
        values = seen.values.get(name, {})
        shown = [f"{subject}: {figure(name, value, lang)}" if subject else figure(name, value, lang)
                 for subject, value in sorted(values.items())]  # fmt: skip
        known = METRICS.get(name)
        meaning = "" if known is None else known.english if lang == "en" else known.chinese
        table.add_row(name, escape("\n".join(shown)) or f"[dim]{tell('no_data')}[/]", f"[dim]{escape(meaning)}[/]")
    console().print(table, soft_wrap=True)


@click.command()
@click.option("--since", "since_s", type=Since(), default="30d", show_default=True)
@click.option("--json", "as_json", is_flag=True)
@told_plainly
def stats(since_s: float, as_json: bool) -> None:
    """The noisiest rules, how long it took to acknowledge and to resolve, and what telling cost."""
    with reading() as connection:
        now = workers.database_time(connection)
        rules = history.noisiest(connection, since=now - int(since_s * 1000))
    if as_json:
        click.echo(json.dumps([{name: getattr(one, name) for name in one.__slots__} for one in rules]))
        return
    if not rules:
        click.echo(tell("none"))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("rule", "alerts", "reopened", "notices", "cost", "to_ack", "to_resolve"):
        table.add_column(tell(f"column_{name}"))
    for one in rules:
        table.add_row(
            one.rule, str(one.alerts), str(one.reopened), str(one.notifications), f"{one.cost:.2f}",
            _span(one.to_acknowledge_s), _span(one.to_resolve_s),
        )  # fmt: skip
    console().print(table, soft_wrap=True)


def _span(seconds: float | None) -> str:
    from mindbot_tasks.alerting.figures import duration

    return "-" if seconds is None else duration(seconds * 1000)
