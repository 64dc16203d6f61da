"""Rows of an installation in which something has happened everywhere."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert

from mindbot_tasks.core.alert_metrics import METRICS
from mindbot_tasks.stores.spending import Call, Whose, write
from mindbot_tasks.stores.tables_alerts import AlertRow, NotificationRow, ProbeRow
from mindbot_tasks.stores.tables_knowledge import DocumentRow, KnowledgeBaseRow


def fill(connection: Connection, now_ms: int) -> None:
    """Two calls of a model, three documents, an alert, a notification that is a minute late, and a probe."""
    write(connection, [Call("openai", "gpt", input_tokens=3, output_tokens=5, cost_nano=2_500_000_000)], Whose())
    write(connection, [Call("openai", "gpt", input_tokens=3, output_tokens=5)], Whose("chat", "default", "ann"))
    connection.execute(insert(KnowledgeBaseRow).values(name="docs", embedder="e", dimension=3, version=1, created_at=1))
    for number, state in enumerate(("ready", "ready", "failed")):
        connection.execute(insert(DocumentRow).values(**document(number, state)))
    alert: dict[str, Any] = {
        "code": "A1", "rule": "r", "fingerprint": "f", "severity": "critical", "state": "firing", "source": "rule",
        "component": "c", "summary": "s", "labels": {}, "members": {}, "readings": {}, "policy": {}, "step": 0,
        "rounds": 0, "opened_at": 1, "fired_at": 1, "reopened": 0,
    }  # fmt: skip
    connection.execute(insert(AlertRow).values(**alert))
    connection.execute(
        insert(NotificationRow).values(
            alert_id=1, intent="i", event="trigger", severity="critical", level=1, recipient="Ann", channel="sms",
            address="+1", content={}, status="pending", tried=[], attempts=0, next_try_at=now_ms - 60_000, created_at=1,
        )
    )  # fmt: skip
    readings: dict[str, Any] = {
        metric.name: {"it": "connected" if metric.unit == "text" else 500.0} if metric.about else 500.0
        for metric in METRICS.values()
    }
    readings["plugin.tickets"] = 7.0
    connection.execute(
        insert(ProbeRow).values(
            name="machine", kind="machine", subject="", interval_ms=60_000, timeout_ms=1000, next_at=now_ms,
            ran_at=now_ms, ok=False, took_ms=250, failures=1, successes=0, readings=readings, memory={},
        )
    )  # fmt: skip


def document(number: int, state: str) -> dict[str, Any]:
    """Ten pieces, four of which have a vector; with whatever columns the table has besides at their usual values."""
    return {
        "base": "docs", "source": f"{number}.md", "kind": "file", "title": "", "size": 1, "fingerprint": "",
        "state": state, "chunks": 10, "embedded": 4, "note": "", "error": "", "strikes": 0, "revision": 1,
        "added_at": 1, "changed_at": 1,
    }  # fmt: skip
