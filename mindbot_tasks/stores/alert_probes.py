"""Probes: which there are, which are due, what they found; and metrics added up by the hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from mindbot_tasks.stores.clock import earlier, later
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.records import Record, many, one
from mindbot_tasks.stores.tables_alerts import MetricHourRow, ProbeResultRow, ProbeRow

HOUR_MS = 3_600_000
Value: TypeAlias = float | str
#: metric -> value, or subject -> value for a metric of several things
Readings: TypeAlias = Mapping[str, Value | Mapping[str, Value] | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """A probe as the configuration wants it."""

    name: str
    kind: str
    subject: str = ""
    interval_ms: int = 30_000
    timeout_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Finding:
    """What one run of a probe found."""

    ok: bool
    took_ms: int = 0
    error: str = ""
    readings: Readings = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)


def synchronise(connection: Connection, plans: Sequence[Plan], *, now: int) -> None:
    """Make the rows what the configuration wants; a new one is due at once. Run it in a transaction."""
    known = {row.name: row for row in connection.execute(select(ProbeRow.__table__))}
    for plan in plans:
        row = known.pop(plan.name, None)
        wanted = {"kind": plan.kind, "subject": plan.subject, "interval_ms": plan.interval_ms,
                  "timeout_ms": plan.timeout_ms}  # fmt: skip
        if row is None:
            connection.execute(
                insert_into(ProbeRow, connection.dialect.name)
                .values(name=plan.name, next_at=now, failures=0, successes=0, readings={}, memory={}, **wanted)
                .on_conflict_do_nothing()
            )
        elif any(getattr(row, key) != value for key, value in wanted.items()):
            connection.execute(update(ProbeRow).where(ProbeRow.name == plan.name).values(**wanted))
    if known:
        connection.execute(delete(ProbeRow).where(ProbeRow.name.in_(known)))


def ask(connection: Connection, *, now: int, expires_ms: int, limit: int = 200) -> list[str]:
    """Probes that are due and that no task is on its way for; they are ours to ask for now.

    No more than `limit` are under way at the same time.
    """
    under_way = connection.execute(select(func.count()).where(ProbeRow.asked_until > now)).scalar_one()
    if under_way >= limit:
        return []
    due = (
        select(ProbeRow.name)
        .where(ProbeRow.next_at <= now, or_(ProbeRow.asked_until.is_(None), ProbeRow.asked_until <= now))
        .order_by(ProbeRow.next_at)
        .limit(limit - under_way)
    )
    rows = connection.execute(
        update(ProbeRow)
        .where(
            ProbeRow.name.in_(due.scalar_subquery()),
            or_(ProbeRow.asked_until.is_(None), ProbeRow.asked_until <= now),
        )
        .values(asked_until=now + expires_ms)
        .returning(ProbeRow.name)
    )
    return sorted(rows.scalars())


def take(connection: Connection, name: str, *, now: int, jitter_ms: int) -> Record | None:
    """This run is ours; None when another one was quicker. The next is due an interval later, whatever happens."""
    return one(
        connection.execute(
            update(ProbeRow)
            .where(ProbeRow.name == name, ProbeRow.next_at <= now)
            .values(next_at=now + ProbeRow.interval_ms + jitter_ms)
            .returning(ProbeRow.__table__)
        )
    )


def record(connection: Connection, row: Record, found: Finding, *, now: int) -> bool:
    """Keep what was found; returns whether the probe went from well to ill or back. Run it in a transaction."""
    changed = row["ok"] is not None and bool(row["ok"]) != found.ok
    readings = dict(found.readings)
    connection.execute(
        update(ProbeRow)
        .where(ProbeRow.name == row["name"])
        .values(
            asked_until=None,
            ran_at=now,
            ok=found.ok,
            took_ms=found.took_ms,
            error=found.error[:300] or None,
            failures=0 if found.ok else ProbeRow.failures + 1,
            successes=ProbeRow.successes + 1 if found.ok else 0,
            changed_at=now if changed or row["ok"] is None else row["changed_at"],
            readings=readings,
            memory=dict(found.memory),
        )
    )
    connection.execute(
        insert(ProbeResultRow).values(
            probe=row["name"], at=now, ok=found.ok, took_ms=found.took_ms, error=found.error[:300] or None,
            readings=readings,
        )
    )  # fmt: skip
    _add_up(connection, row["subject"], readings, now)
    return changed


def flat(subject: str, readings: Readings) -> Iterator[tuple[str, str, Value]]:
    """(metric, subject, value) of each."""
    for metric, value in readings.items():
        if isinstance(value, Mapping):
            yield from ((metric, each, one) for each, one in value.items() if one is not None)
        elif value is not None:
            yield metric, subject, value


def _add_up(connection: Connection, subject: str, readings: Readings, now: int) -> None:
    numbers = [
        (metric, of[:160], float(value)) for metric, of, value in flat(subject, readings) if not isinstance(value, str)
    ]
    if not numbers:
        return
    row = insert_into(MetricHourRow, connection.dialect.name)
    row = row.values(
        [
            {"metric": metric, "subject": of, "hour": now // HOUR_MS, "count": 1, "total": value,
             "squares": value * value, "lowest": value, "highest": value}
            for metric, of, value in numbers
        ]
    )  # fmt: skip
    new = row.excluded
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["metric", "subject", "hour"],
            set_={
                "count": MetricHourRow.count + 1,
                "total": MetricHourRow.total + new.total,
                "squares": MetricHourRow.squares + new.squares,
                "lowest": earlier(MetricHourRow.lowest, new.lowest),
                "highest": later(MetricHourRow.highest, new.highest),
            },
        )
    )


def every(connection: Connection) -> list[Record]:
    """All probes, by name."""
    return many(connection.execute(select(ProbeRow.__table__).order_by(ProbeRow.name)))


def hours(connection: Connection, metric: str, subject: str, *, since: int) -> list[Record]:
    """The hours of one metric since that time (milliseconds), oldest first."""
    return many(
        connection.execute(
            select(MetricHourRow.__table__)
            .where(
                MetricHourRow.metric == metric, MetricHourRow.subject == subject, MetricHourRow.hour >= since // HOUR_MS
            )
            .order_by(MetricHourRow.hour)
        )
    )


def results(connection: Connection, probe: str, *, since: int, limit: int = 1000) -> list[Record]:
    """What the latest runs found, newest first."""
    return many(
        connection.execute(
            select(ProbeResultRow.__table__)
            .where(ProbeResultRow.probe == probe, ProbeResultRow.at >= since)
            .order_by(ProbeResultRow.at.desc(), ProbeResultRow.id.desc())
            .limit(limit)
        )
    )


def forget(connection: Connection, *, results_before: int, hours_before: int, limit: int = 5000) -> int:
    """Drop what is old; returns how many results went."""
    oldest = (
        select(ProbeResultRow.id).where(ProbeResultRow.at < results_before).order_by(ProbeResultRow.at).limit(limit)
    )
    gone = connection.execute(delete(ProbeResultRow).where(ProbeResultRow.id.in_(oldest.scalar_subquery())))
    connection.execute(delete(MetricHourRow).where(MetricHourRow.hour < hours_before // HOUR_MS))
    return gone.rowcount
