"""Steps that are due: the next level of an alert is written into the outbox, once, whoever else is at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from mindbot_tasks.alerting import answering
from mindbot_tasks.alerting.escalation import Services, Step, inhibitor, next_step, not_before, whom, within_hours
from mindbot_tasks.alerting.present import present
from mindbot_tasks.alerting.wording import Scene, content
from mindbot_tasks.core.conditions import Value
from mindbot_tasks.core.metrics import ESCALATIONS
from mindbot_tasks.core.settings import AlertManagerSettings
from mindbot_tasks.model.alert import AlertState, Event, Severity
from mindbot_tasks.stores import alert_probes, alerts, history, outbox, silences
from mindbot_tasks.stores.outbox import Intent
from mindbot_tasks.stores.records import Record

#: an alert that may tell nobody now is looked at again after this
LOOK_AGAIN_MS = 10_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all steps of one pass have in common."""

    settings: AlertManagerSettings
    services: Services
    values: Mapping[str, Mapping[str, Value]]
    probes: Sequence[Record]
    silences: Sequence[Record]
    open: Sequence[Record]  #: alerts
    public_url: str = ""
    secret: str = ""


def surroundings(
    connection: Connection,
    settings: AlertManagerSettings,
    services: Services,
    *,
    public_url: str,
    secret: str,
    now: int,
) -> Surroundings:
    """As they are now."""
    probes = alert_probes.every(connection)
    return Surroundings(
        settings,
        services,
        present(probes, now=now).values,
        probes,
        silences.current(connection, now=now),
        alerts.open_alerts(connection),
        public_url,
        secret,
    )


def escalate_one(connection: Connection, row: Record, around: Surroundings, *, now: int) -> int:
    """Take the step of this alert that is due; returns how many are to be told by it. Run it in a transaction."""
    if muted := _muted_by(row, around, now=now):
        alerts.mute(connection, row, by=muted, until=now + LOOK_AGAIN_MS, now=now)
        return 0
    acknowledged = row["state"] == AlertState.ACKNOWLEDGED
    step = next_step(row["policy"], row["step"], acknowledged=acknowledged, now=now)
    if not alerts.take_step(
        connection, row, next_step_at=step.next_at if step else None, now=now, again=step.again if step else False
    ):
        return 0
    if step is None:
        alerts.note(connection, row["id"], row["rule"], "nobody to tell", now=now)
        return 0
    return _tell(connection, row, step, around, now=now)


def _muted_by(row: Record, around: Surroundings, *, now: int) -> str | None:
    if row["source"] == "test":
        return None
    labels = labels_of(row)
    for silence in around.silences:
        if silence["starts_at"] <= now and silences.matches(silence["matchers"], labels):
            return f"silence {silence['id']}"
    for name, window in around.settings.maintenance.items():
        zone = window.timezone or around.settings.timezone
        if within_hours(window.hours, zone, now=now, days=window.days) and silences.matches(window.match, labels):
            return f"maintenance {name}"
    code = inhibitor(row, around.open)
    return f"alert {code}" if code else None


def labels_of(row: Mapping[str, Any]) -> dict[str, str]:
    """What silences can match."""
    own = {"rule": row["rule"], "component": row["component"], "severity": row["severity"], "code": row["code"]}
    return {**{name: str(value) for name, value in row["labels"].items()}, **own}


def _tell(connection: Connection, row: Record, step: Step, around: Surroundings, *, now: int) -> int:
    severity = Severity(row["severity"])
    people = whom(row["policy"], step, severity, around.services, now=now)
    scene = Scene(
        values=around.values,
        probes=around.probes,
        history=history.of(connection, row["id"]),
        link=answering.link(around.public_url, around.secret, row["code"]),
    )
    intents = [
        Intent(
            alert_id=row["id"],
            event=Event.TRIGGER,
            round=row["rounds"] + (1 if step.again else 0),
            level=step.level,
            severity=severity,
            recipient=person.name,
            channel=person.channel,
            address=person.address,
            content=content(Event.TRIGGER, row, person, step.level, scene, now=now),
            not_before=not_before(person, severity, row["policy"]["quiet"], now=now),
        )
        for person in people
    ]
    made = outbox.put(connection, intents, now=now)
    ESCALATIONS.labels(str(severity), str(step.level)).inc()
    told = ", ".join(f"{person.name} by {person.channel}" for person in people)
    alerts.note(connection, row["id"], row["rule"], f"level {step.level}", now=now, text=told or "nobody to tell")
    return len(made)
