"""Alerts: opening, re-opening, growing, acknowledging and resolving; each a compare-and-set with one winner.

Whoever calls owns the transaction and says what time it is, by the database's clock.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from mindbot_tasks.model.alert import AlertState, Severity
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.records import Record, many, one
from mindbot_tasks.stores.tables_alerts import AlertEventRow, AlertRow

#: no letters or digits that look or sound alike
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH = 4
Change = Literal["opened", "reopened", "rejoined", "grown", "none"]


@dataclass(frozen=True, slots=True)
class Opening:
    """An alert as the judge sees it now."""

    rule: str
    fingerprint: str
    severity: Severity
    component: str
    summary: str
    members: Mapping[str, int]  #: subject -> firing since (ms)
    readings: Mapping[str, Any]
    policy: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    source: str = "rule"
    cooldown_ms: int = 300_000


def fingerprint_of(rule: str, group: str = "") -> str:
    """The identity of an alert: what is open already is not opened again."""
    return hashlib.sha256(f"{rule}\0{group}".encode()).hexdigest()[:32]


def open_or_refresh(connection: Connection, opening: Opening, *, now: int) -> tuple[int, Change]:
    """Record that this fires; returns the alert's id and what that changed.

    A new subject of an acknowledged alert calls people again; one of a firing alert stands in the next notice.
    """
    found = open_alert(connection, opening.fingerprint)
    if found is None:
        return _open(connection, opening, now)
    new = [subject for subject in opening.members if subject not in found["members"]]
    if not new and set(found["members"]) == set(opening.members):
        return int(found["id"]), "none"
    values: dict[str, Any] = {"members": dict(opening.members), "readings": dict(opening.readings)}
    change: Change = "none"
    if new:
        change = "grown"
        values["summary"] = opening.summary[:500]
        if found["state"] == AlertState.ACKNOWLEDGED:
            change = "rejoined"
            told = found["told_at"] or found["fired_at"]
            values |= _again(found) | {"next_step_at": max(now, told + opening.cooldown_ms), "fired_at": now}
    connection.execute(
        update(AlertRow).where(AlertRow.id == found["id"], AlertRow.resolved_at.is_(None)).values(**values)
    )
    if new:
        note(connection, found["id"], opening.rule, change, now=now, text=", ".join(new))
    return int(found["id"]), change


def _again(row: Record) -> dict[str, Any]:
    """Its policy begins anew."""
    return {
        "state": AlertState.FIRING.value,
        "step": 0,
        "rounds": row["rounds"] + 1,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "acknowledged_via": None,
        "resolved_at": None,
        "resolved_by": None,
        "cleared_at": None,
    }


def _open(connection: Connection, opening: Opening, now: int) -> tuple[int, Change]:
    lately = one(connection.execute(
        select(AlertRow.__table__)
        .where(AlertRow.fingerprint == opening.fingerprint, AlertRow.resolved_at > now - opening.cooldown_ms)
        .order_by(AlertRow.id.desc())
        .limit(1)
    ))  # fmt: skip
    if lately is not None:
        told = lately["told_at"]
        values = _again(lately) | {
            "reopened": lately["reopened"] + 1,
            "fired_at": now,
            "members": dict(opening.members),
            "readings": dict(opening.readings),
            "summary": opening.summary[:500],
            "next_step_at": now if told is None else max(now, told + opening.cooldown_ms),
        }
        try:
            with connection.begin_nested():
                connection.execute(
                    update(AlertRow)
                    .where(AlertRow.id == lately["id"], AlertRow.resolved_at.is_not(None))
                    .values(**values)
                )
        except IntegrityError:  # another judge was quicker, and opened a new one
            return int(lately["id"]), "none"
        note(connection, lately["id"], opening.rule, "reopened", now=now, text=opening.summary)
        return int(lately["id"]), "reopened"
    for _ in range(8):
        alert_id = _insert(connection, opening, now)
        if alert_id is not None:
            note(connection, alert_id, opening.rule, "opened", now=now, text=opening.summary)
            return alert_id, "opened"
        found = open_alert(connection, opening.fingerprint)
        if found is not None:
            return int(found["id"]), "none"
    raise RuntimeError("no free code for an alert")


def _insert(connection: Connection, opening: Opening, now: int) -> int | None:
    row = insert_into(AlertRow, connection.dialect.name).values(
        code="".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH)),
        rule=opening.rule,
        fingerprint=opening.fingerprint,
        severity=opening.severity.value,
        state=AlertState.FIRING.value,
        source=opening.source,
        component=opening.component[:160],
        summary=opening.summary[:500],
        labels=dict(opening.labels),
        members=dict(opening.members),
        readings=dict(opening.readings),
        policy=dict(opening.policy),
        step=0,
        rounds=0,
        next_step_at=now,
        opened_at=now,
        fired_at=now,
        reopened=0,
    )
    # whether the code or the fingerprint is taken: nothing is inserted, and the caller looks
    return connection.execute(row.on_conflict_do_nothing().returning(AlertRow.id)).scalar()


def open_alert(connection: Connection, fingerprint: str) -> Record | None:
    """The one that is not resolved."""
    return one(
        connection.execute(
            select(AlertRow.__table__).where(AlertRow.fingerprint == fingerprint, AlertRow.resolved_at.is_(None))
        )
    )


def open_alerts(connection: Connection) -> list[Record]:
    """Every alert that is not resolved, oldest first."""
    return many(
        connection.execute(select(AlertRow.__table__).where(AlertRow.resolved_at.is_(None)).order_by(AlertRow.id))
    )


def normal_code(code: str) -> str:
    """As people type it: `#k7q4`, ` K7Q4 `."""
    return code.strip().lstrip("#").strip().upper()[:12]


def by_code(connection: Connection, code: str) -> Record | None:
    """The row of an alert, columns by name; `code` as people write it. None: there is none."""
    return one(connection.execute(select(AlertRow.__table__).where(AlertRow.code == normal_code(code))))


def by_id(connection: Connection, alert_id: int) -> Record | None:
    """The same by the row's own id."""
    return one(connection.execute(select(AlertRow.__table__).where(AlertRow.id == alert_id)))


def acknowledge(connection: Connection, code: str, *, by: str, via: str, now: int) -> Record | None:
    """Somebody takes care: escalation stops. None when there is no such firing alert; of many callers one wins.

    The reminder for an alert that is acknowledged and stays is due after the policy's `reminder_ms`.
    """
    found = by_code(connection, code)
    if found is None:
        return None
    won = one(
        connection.execute(
            update(AlertRow)
            .where(AlertRow.id == found["id"], AlertRow.state == AlertState.FIRING.value)
            .values(
                state=AlertState.ACKNOWLEDGED.value,
                acknowledged_at=now,
                acknowledged_by=by[:160],
                acknowledged_via=via[:20],
                next_step_at=now + int(found["policy"].get("reminder_ms", 14_400_000)),
            )
            .returning(AlertRow.__table__)
        )
    )
    if won is not None:
        note(connection, won["id"], won["rule"], "acknowledged", now=now, actor=by, text=f"by {via}")
    return won


def resolve(connection: Connection, alert_id: int, *, by: str, now: int) -> Record | None:
    """It is over. None when it was before."""
    won = one(
        connection.execute(
            update(AlertRow)
            .where(AlertRow.id == alert_id, AlertRow.resolved_at.is_(None))
            .values(state=AlertState.RESOLVED.value, resolved_at=now, resolved_by=by[:160], next_step_at=None)
            .returning(AlertRow.__table__)
        )
    )
    if won is not None:
        note(connection, alert_id, won["rule"], "resolved", now=now, actor=by)
    return won


def due(connection: Connection, *, now: int, limit: int = 100) -> list[Record]:
    """Alerts whose next step is due, the worst first."""
    rank = {severity.value: severity.rank for severity in Severity}
    rows = many(
        connection.execute(
            select(AlertRow.__table__).where(AlertRow.next_step_at <= now).order_by(AlertRow.next_step_at).limit(limit)
        )
    )
    return sorted(rows, key=lambda row: (rank[row["severity"]], row["next_step_at"]))


def take_step(connection: Connection, row: Record, *, next_step_at: int | None, now: int, again: bool = False) -> bool:
    """This step of the policy is ours: True for exactly one caller. `again`: the policy begins anew with it."""
    # an alert that was acknowledged in the meantime has another state, and so tells nobody
    taken = connection.execute(
        update(AlertRow)
        .where(
            and_(
                AlertRow.id == row["id"],
                AlertRow.state == row["state"],
                AlertRow.step == row["step"],
                AlertRow.rounds == row["rounds"],
                AlertRow.next_step_at <= now,
            )
        )
        .values(
            state=AlertState.FIRING.value,
            step=1 if again else row["step"] + 1,
            rounds=row["rounds"] + 1 if again else row["rounds"],
            next_step_at=next_step_at,
            told_at=now,
            muted_by=None,
        )
        .returning(AlertRow.id)
    ).first()
    return taken is not None


def mute(connection: Connection, row: Record, *, by: str, until: int, now: int) -> None:
    """Nobody is told for now; look again at `until`."""
    connection.execute(
        update(AlertRow)
        .where(AlertRow.id == row["id"], AlertRow.step == row["step"], AlertRow.resolved_at.is_(None))
        .values(next_step_at=until, muted_by=by[:160])
    )
    if row["muted_by"] != by[:160]:
        note(connection, row["id"], row["rule"], "muted", now=now, text=by)


def note(
    connection: Connection,
    alert_id: int | None,
    rule: str,
    kind: str,
    *,
    now: int,
    actor: str = "",
    text: str = "",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Write it into the history."""
    connection.execute(
        insert(AlertEventRow).values(
            alert_id=alert_id, rule=rule, at=now, kind=kind, actor=actor[:160], note=text[:500], data=dict(data or {})
        )
    )


def hurry(connection: Connection, alert_id: int, *, now: int) -> bool:
    """Somebody could not be reached: the next level is due at once. False when there is none, or it is due anyway."""
    row = by_id(connection, alert_id)
    if row is None or row["state"] != AlertState.FIRING or row["step"] >= len(row["policy"].get("levels") or ()):
        return False
    done = connection.execute(
        update(AlertRow)
        .where(
            AlertRow.id == alert_id,
            AlertRow.step == row["step"],
            AlertRow.state == AlertState.FIRING.value,
            AlertRow.next_step_at > now,
        )
        .values(next_step_at=now)
        .returning(AlertRow.id)
    ).first()
    return done is not None
