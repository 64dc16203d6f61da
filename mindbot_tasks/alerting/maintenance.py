"""Maintenance that is over is told to those of level 1: a mild notice, resolved as soon as it is written."""

from __future__ import annotations

from sqlalchemy import Connection

from mindbot_tasks.alerting import escalation
from mindbot_tasks.alerting.escalation import Services
from mindbot_tasks.alerting.rules import plain
from mindbot_tasks.core.settings import AlertManagerSettings
from mindbot_tasks.model.alert import Severity
from mindbot_tasks.stores import alerts, silences
from mindbot_tasks.stores.alerts import Opening

RULE = "maintenance_completed"
SOURCE = "maintenance"
#: by then it has been told, or is no news any more
TOLD_MS = 3_600_000


def tell_what_is_over(
    connection: Connection, settings: AlertManagerSettings, services: Services, *, since: int | None, now: int
) -> list[int]:
    """Maintenance that people announced and that ended since the last pass; returns the alerts. In a transaction."""
    told = []
    for row in alerts.open_alerts(connection):
        if row["source"] == SOURCE and now - row["fired_at"] > TOLD_MS:
            alerts.resolve(connection, row["id"], by=RULE, now=now)
    ended = silences.ended_between(connection, after=since if since is not None else now, until=now)
    for silence in ended:
        if not silence["maintenance"]:
            continue
        # no escalation, no repetition, nothing about its end: it is told once
        policy = {
            **escalation.freeze(plain(RULE, Severity.LOW, settings), settings, services),
            "resolved_notices": False,
            "condition": silence["comment"] or "maintenance",
        }
        opening = Opening(
            rule=RULE, fingerprint=alerts.fingerprint_of(RULE, str(silence["id"])), severity=Severity.LOW,
            component="mindbot", summary=silence["comment"] or RULE, members={"": now}, readings={}, policy=policy,
            source=SOURCE, cooldown_ms=0,
        )  # fmt: skip
        alert_id, _ = alerts.open_or_refresh(connection, opening, now=now)
        told.append(alert_id)
    return told
