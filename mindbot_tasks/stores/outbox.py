"""The outbox of notifications: intents, claims, what vendors said, and what became of each.

A row is committed before any vendor is called, and names the vendor while it is called. Whoever calls owns the
transaction and says what time it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from mindbot_tasks.model.alert import Accepted, Channel, Delivery, DeliveryReport, Event, Severity
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.records import Record, many, one
from mindbot_tasks.stores.tables import DutyRow
from mindbot_tasks.stores.tables_alerts import AlertEventRow, AlertRow, NotificationRow

#: `sending` for longer than this: whoever sent it is gone, and nobody knows whether it went out
SENDING_MS: Final = 120_000
#: when a vendor that can be asked is asked for the first time, and how often at the most
QUERY_AFTER_MS: Final = 20_000
QUERIES: Final = 5
#: somebody was told, or may have been
TOLD: Final = ("sending", "accepted", "sent", "delivered", "unknown", "covered")
_COUNTED: Final = ("accepted", "sent", "delivered", "unknown")


@dataclass(frozen=True, slots=True)
class Intent:
    """Somebody is to be told something."""

    alert_id: int
    event: Event
    round: int
    level: int
    severity: Severity
    recipient: str
    channel: Channel
    address: str
    content: Mapping[str, Any] = field(default_factory=dict)
    not_before: int | None = None
    kind: str = ""  #: sets a second intent for the same apart, such as a fallback

    @property
    def key(self) -> str:
        """The same for the same intent, however often somebody has it."""
        return f"{self.alert_id}:{self.event}:{self.round}:{self.level}:{self.channel}:{self.kind}:{self.recipient}"[
            :250
        ]


def put(connection: Connection, intents: Sequence[Intent], *, now: int) -> list[int]:
    """Write intents down, each once; returns the ids of those that are new."""
    if not intents:
        return []
    ids = []
    for intent in intents:
        row = insert_into(NotificationRow, connection.dialect.name).values(
            alert_id=intent.alert_id,
            intent=intent.key,
            event=intent.event.value,
            severity=intent.severity.value,
            level=intent.level,
            recipient=intent.recipient[:120],
            channel=intent.channel.value,
            address=intent.address[:255],
            content=dict(intent.content),
            status="pending",
            tried=[],
            attempts=0,
            next_try_at=max(now, intent.not_before or now),
            created_at=now,
        )
        made = connection.execute(row.on_conflict_do_nothing().returning(NotificationRow.id)).scalar()
        if made is not None:
            ids.append(made)
    return ids


def one_planner(connection: Connection, *, now: int) -> None:
    """Wait until nobody else plans; holds until the transaction ends, so that limits are counted once."""
    row = insert_into(DutyRow, connection.dialect.name)
    connection.execute(
        row.values(name="plan notifications", ran_at=now).on_conflict_do_update(
            index_elements=["name"], set_={"ran_at": now}
        )
    )


def due(connection: Connection, *, now: int, limit: int = 1000) -> list[Record]:
    """What is to be sent, sent again, or asked about; the worst first. With the alert's state."""
    rank = {severity.value: severity.rank for severity in Severity}
    rows = many(
        connection.execute(
            select(NotificationRow.__table__, AlertRow.state.label("alert_state"), AlertRow.code.label("alert_code"))
            .join(AlertRow, AlertRow.id == NotificationRow.alert_id)
            .where(NotificationRow.next_try_at <= now)
            .order_by(NotificationRow.next_try_at)
            .limit(limit)
        )
    )
    return sorted(rows, key=lambda row: (rank[row["severity"]], row["id"]))


def sent_since(connection: Connection, channel: Channel, address: str, *, since: int) -> list[int]:
    """When something went out to this address (or may have), newest first."""
    rows = connection.execute(
        select(NotificationRow.accepted_at)
        .where(
            NotificationRow.address == address,
            NotificationRow.channel == channel.value,
            NotificationRow.accepted_at > since,
        )
        .order_by(NotificationRow.accepted_at.desc())
    )
    return [at for at in rows.scalars() if at is not None]


def cost_since(connection: Connection, *, since: int) -> float:
    """What SMS have cost since then, as far as vendors said."""
    found = connection.execute(
        select(func.sum(NotificationRow.cost)).where(
            NotificationRow.channel == Channel.SMS.value, NotificationRow.created_at > since
        )
    ).scalar()
    return float(found or 0.0)


def suppressed_for(connection: Connection, channel: Channel, address: str, *, since: int) -> int:
    """How many were left out for this address since then."""
    return connection.execute(
        select(func.count()).where(
            NotificationRow.address == address,
            NotificationRow.channel == channel.value,
            NotificationRow.status == "suppressed",
            NotificationRow.created_at > since,
        )
    ).scalar_one()


def claim(connection: Connection, row: Record, *, now: int) -> bool:
    """From here on we send it: True for one caller. For the limits it counts as sent from now on."""
    taken = connection.execute(
        update(NotificationRow)
        .where(
            NotificationRow.id == row["id"],
            NotificationRow.status == row["status"],
            NotificationRow.attempts == row["attempts"],
        )
        .values(
            status="sending",
            attempts=row["attempts"] + 1,
            sending_since=now,
            accepted_at=now,
            next_try_at=now + SENDING_MS,
        )
        .returning(NotificationRow.id)
    ).first()
    return taken is not None


def _held(row_id: int, attempts: int) -> Any:
    return (NotificationRow.id == row_id) & (NotificationRow.attempts == attempts)


def call(connection: Connection, row_id: int, attempts: int, notifier: str, *, now: int) -> bool:
    """This vendor is about to be called. False: the claim is no longer ours."""
    done = connection.execute(
        update(NotificationRow)
        .where(_held(row_id, attempts), NotificationRow.status == "sending")
        .values(notifier=notifier[:80], sending_since=now, next_try_at=now + SENDING_MS, provider_message_id=None)
        .returning(NotificationRow.id)
    ).first()
    return done is not None


def accepted(connection: Connection, row_id: int, attempts: int, told: Accepted, *, queries: bool, now: int) -> None:
    """The vendor took it."""
    connection.execute(
        update(NotificationRow)
        .where(_held(row_id, attempts), NotificationRow.status == "sending")
        .values(
            status="delivered" if told.final else "accepted",
            provider_message_id=told.provider_message_id[:255],
            cost=told.cost,
            currency=told.currency[:10] or None,
            segments=told.segments,
            accepted_at=now,
            delivered_at=now if told.final else None,
            next_try_at=now + QUERY_AFTER_MS if queries and not told.final else None,
            error=None,
        )
    )


def put_off(
    connection: Connection, row_id: int, attempts: int, *, tried: Sequence[str], error: str, next_try_at: int | None
) -> None:
    """It did not work. next_try_at None: it never will."""
    values: dict[str, Any] = {
        "status": "failed" if next_try_at is None else "pending",
        "tried": list(tried),
        "error": error[:300],
        "next_try_at": next_try_at,
        "accepted_at": None,
    }
    connection.execute(
        update(NotificationRow).where(_held(row_id, attempts), NotificationRow.status == "sending").values(**values)
    )


def unknown(connection: Connection, row: Record) -> bool:
    """Whoever sent it is gone, and it is not bad enough to risk a second message."""
    done = connection.execute(
        update(NotificationRow)
        .where(_held(row["id"], row["attempts"]), NotificationRow.status == "sending")
        .values(status="unknown", next_try_at=None)
        .returning(NotificationRow.id)
    ).first()
    return done is not None


def hold(connection: Connection, row_id: int, *, until: int) -> None:
    """Not now."""
    connection.execute(
        update(NotificationRow)
        .where(NotificationRow.id == row_id, NotificationRow.status == "pending")
        .values(next_try_at=until)
    )


def leave_out(connection: Connection, row_ids: Sequence[int], status: str, *, covered_by: int | None = None) -> None:
    """`covered` by a summary, `suppressed` by a cap, or `moot`, because it is no longer true."""
    if row_ids:
        connection.execute(
            update(NotificationRow)
            .where(NotificationRow.id.in_(row_ids), NotificationRow.status == "pending")
            .values(status=status, covered_by=covered_by, next_try_at=None)
        )


def rewrite(connection: Connection, row_id: int, content: Mapping[str, Any]) -> None:
    """Say something else."""
    connection.execute(update(NotificationRow).where(NotificationRow.id == row_id).values(content=dict(content)))


def unsent_are_moot(connection: Connection, alert_id: int) -> None:
    """What has not gone out about the trouble need not any more."""
    connection.execute(
        update(NotificationRow)
        .where(
            NotificationRow.alert_id == alert_id,
            NotificationRow.event == Event.TRIGGER.value,
            NotificationRow.status == "pending",
        )
        .values(status="moot", next_try_at=None)
    )


def told_of(connection: Connection, alert_id: int) -> list[Record]:
    """Everybody who was told, or may have been, that it fires: once for each recipient and channel."""
    rows = connection.execute(
        select(NotificationRow.__table__)
        .where(
            NotificationRow.alert_id == alert_id,
            NotificationRow.event == Event.TRIGGER.value,
            NotificationRow.status.in_(TOLD),
        )
        .order_by(NotificationRow.id)
    ).mappings()
    return list({(row["channel"], row["recipient"], row["address"]): dict(row) for row in rows}.values())


def of_alert(connection: Connection, alert_id: int) -> list[Record]:
    """All notifications of an alert, oldest first."""
    return many(
        connection.execute(
            select(NotificationRow.__table__).where(NotificationRow.alert_id == alert_id).order_by(NotificationRow.id)
        )
    )


def of_alerts(connection: Connection, alert_ids: Sequence[int]) -> dict[int, list[Record]]:
    """All notifications of several alerts, by alert, oldest first."""
    found: dict[int, list[Record]] = {}
    if alert_ids:
        query = select(NotificationRow.__table__).where(NotificationRow.alert_id.in_(alert_ids))
        for row in many(connection.execute(query.order_by(NotificationRow.id))):
            found.setdefault(row["alert_id"], []).append(row)
    return found


def by_id(connection: Connection, row_id: int) -> Record | None:
    """The row of one notification, columns by name. None: there is none."""
    return one(connection.execute(select(NotificationRow.__table__).where(NotificationRow.id == row_id)))


def note_delivery(
    connection: Connection, notifier: str, provider_message_id: str, report: DeliveryReport, *, now: int
) -> bool:
    """What a receipt or a query says; out of order and twice does no harm. False: nobody knows this message.

    One that did not arrive goes to the next vendor at once: run `mindbot.notify` after the commit.
    """
    row = one(
        connection.execute(
            select(NotificationRow.__table__).where(
                NotificationRow.provider_message_id == provider_message_id, NotificationRow.notifier == notifier
            )
        )
    )
    if row is None:
        return False
    known = {"accepted": 0, "sent": 1, "delivered": 2}.get(row["status"])
    values: dict[str, Any] = {}
    if report.cost is not None:
        values |= {"cost": report.cost, "currency": report.currency[:10]}
    if known is None or report.state.rank <= known:
        if values and row["cost"] is None:  # nothing new but what it cost
            connection.execute(update(NotificationRow).where(NotificationRow.id == row["id"]).values(**values))
        return True
    if report.state is Delivery.UNDELIVERED:
        values |= {
            "status": "pending",
            "tried": [*row["tried"], notifier],
            "error": f"{notifier}: not delivered {report.code}".strip()[:300],
            "next_try_at": now,
            "accepted_at": row["accepted_at"],
        }
    elif report.state is Delivery.DELIVERED:
        # a receipt does not say what it cost: who can be asked is asked once more
        asks = row["next_try_at"] is not None and row["cost"] is None and report.cost is None
        values |= {"status": "delivered", "delivered_at": now, "next_try_at": now + QUERY_AFTER_MS if asks else None}
    else:
        values |= {"status": report.state.value}
    connection.execute(
        update(NotificationRow)
        .where(_held(row["id"], row["attempts"]), NotificationRow.status == row["status"])
        .values(**values)
    )
    connection.execute(
        insert(AlertEventRow).values(
            alert_id=row["alert_id"],
            rule="",
            at=now,
            kind=report.state.value,
            actor=notifier[:160],
            note=f"{row['recipient']} by {row['channel']} {report.code}".strip()[:500],
            data={"notification": row["id"]},
        )
    )
    return True


def ask_again_later(connection: Connection, row: Record, *, next_try_at: int | None) -> None:
    """The vendor knew nothing new of it."""
    content = {**row["content"], "queries": int(row["content"].get("queries", 0)) + 1}
    connection.execute(
        update(NotificationRow)
        .where(_held(row["id"], row["attempts"]), NotificationRow.status == row["status"])
        .values(next_try_at=next_try_at, content=content)
    )


def failed_since(connection: Connection, *, since: int) -> int:
    """Notifications that reached nobody since then."""
    return connection.execute(
        select(func.count()).where(NotificationRow.status == "failed", NotificationRow.created_at > since)
    ).scalar_one()
