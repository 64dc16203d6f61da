"""`mindbot alerts export`: the history for audits."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from mindbot_tasks.cli.failing import told_plainly
from mindbot_tasks.cli.messages import Since
from mindbot_tasks.stores import history, workers
from mindbot_tasks.stores.database import reading

COLUMNS = (
    "record", "at", "id", "alert_id", "code", "rule", "severity", "state", "kind", "actor", "note", "level",
    "recipient", "channel", "address", "notifier", "status", "provider_message_id", "segments", "cost", "currency",
    "acknowledged_at", "acknowledged_by", "acknowledged_via", "resolved_at", "resolved_by", "delivered_at", "summary",
    "error",
)  # fmt: skip


@click.command()
@click.option("--since", "since_s", type=Since(), default="30d", show_default=True)
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json", show_default=True)
@told_plainly
def export(since_s: float, form: str) -> None:
    """Alerts, everything that happened to them, and who was told when by whom at what cost: for audits.

    json: one object a line. Times are ISO 8601, UTC.
    """
    with reading() as connection:
        now = workers.database_time(connection)
        records = history.export(connection, since=now - int(since_s * 1000), until=now + 1)
        if form == "json":
            for one in records:
                click.echo(json.dumps(_dated(one), ensure_ascii=False))
            return
        writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for one in records:
            writer.writerow({name: _safe(value) for name, value in _dated(one).items()})


def _dated(one: Mapping[str, Any]) -> dict[str, Any]:
    """With times as people and programs read them."""
    found = {"record": one["kind_of_record"], "at": one.get("at") or one.get("opened_at") or one.get("created_at")}
    found |= {name: value for name, value in one.items() if name not in ("kind_of_record", "at", "policy", "content")}
    for name, value in found.items():
        if isinstance(value, int) and (name == "at" or name.endswith(("_at", "_since"))):
            found[name] = datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
    return found


def _safe(value: Any) -> Any:
    """A spreadsheet must not run what somebody wrote into a note."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    return value if value.removeprefix("+").isdigit() else f"'{value}"  # a phone number is harmless
