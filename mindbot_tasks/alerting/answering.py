"""Somebody takes care of an alert, or it is over: one winner, and whoever was told hears of it."""

from __future__ import annotations

import hashlib
import hmac

from sqlalchemy import Connection

from mindbot_tasks.alerting.escalation import Person
from mindbot_tasks.alerting.wording import Scene, content
from mindbot_tasks.model.alert import Channel, Event, Severity
from mindbot_tasks.stores import alerts, history, outbox
from mindbot_tasks.stores.outbox import Intent
from mindbot_tasks.stores.records import Record

#: where alerts come from that no rule closes again
BY_HAND = frozenset({"test", "drill", "watchdog"})
#: who hears that somebody takes care: the others by e-mail, and machines; nobody by SMS
_HEAR_OF_ACKNOWLEDGEMENT = frozenset({Channel.EMAIL, Channel.WEBHOOK, Channel.INCIDENT})


def acknowledge(connection: Connection, code: str, *, by: str, via: str, now: int) -> Record | None:
    """Stop the escalation; in a transaction. None: no firing alert has this code, or somebody else was quicker."""
    won = alerts.acknowledge(connection, code, by=by, via=via, now=now)
    if won is not None:
        outbox.unsent_are_moot(connection, won["id"])
        _tell(connection, won, Event.ACKNOWLEDGE, now=now)
    return won


def resolve(connection: Connection, alert_id: int, *, by: str, now: int) -> Record | None:
    """It is over. None: it was before. Run it in a transaction."""
    won = alerts.resolve(connection, alert_id, by=by, now=now)
    if won is not None:
        outbox.unsent_are_moot(connection, alert_id)
        if won["policy"].get("resolved_notices", True):
            _tell(connection, won, Event.RESOLVE, now=now)
    return won


def _tell(connection: Connection, alert: Record, event: Event, *, now: int) -> None:
    """Everybody who was told that it fires."""
    told = outbox.told_of(connection, alert["id"])
    scene = Scene(history=history.of(connection, alert["id"])) if told else Scene()
    intents = []
    for row in told:
        channel = Channel(row["channel"])
        if event is Event.ACKNOWLEDGE and channel not in _HEAR_OF_ACKNOWLEDGEMENT:
            continue
        person = Person(
            row["recipient"], channel, row["address"], row["content"].get("lang", "en"), "", alert["policy"]["timezone"]
        )
        intents.append(
            Intent(
                alert_id=alert["id"],
                event=event,
                round=alert["rounds"],
                level=row["level"],
                severity=Severity(alert["severity"]),
                recipient=row["recipient"],
                channel=channel,
                address=row["address"],
                content=content(event, alert, person, row["level"], scene, now=now),
            )
        )
    outbox.put(connection, intents, now=now)


def link(public_url: str, secret: str, code: str) -> str:
    """Where an alert can be acknowledged by whoever got this; "" where MindBot has no address or no secret."""
    if not public_url or not secret:
        return ""
    return f"{public_url.rstrip('/')}/alerts/{code}/acknowledge?key={signature(secret, code)}"


def signature(secret: str, code: str) -> str:
    """Proves that MindBot has written this link."""
    key = hashlib.sha256(b"mindbot alert links\0" + secret.encode()).digest()
    return hmac.new(key, code.encode(), hashlib.sha256).hexdigest()[:32]


def holds(secret: str, code: str, given: str) -> bool:
    """Whether `given` is the signature of a link for this alert."""
    return bool(secret) and hmac.compare_digest(signature(secret, code).encode(), given.encode("utf-8", "replace"))
