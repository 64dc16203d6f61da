"""Which worker processes there are, and which periodic duties were taken up when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import DutyRow, MessageRow, WorkerRow


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a worker learns when it says that it is alive."""

    known: bool  #: False: it was taken for dead and must register anew
    sweep_age_ms: int | None  #: since the last sweep; None: there was none


def register(connection: Connection, name: str, queues: Sequence[str]) -> int:
    """A new worker process; returns its id."""
    return connection.execute(
        insert(WorkerRow)
        .values(name=name[:255], queues=list(queues), started_at=DB_NOW, seen_at=DB_NOW)
        .returning(WorkerRow.id)
    ).scalar_one()


def beat(connection: Connection, worker_id: int) -> Pulse:
    """This worker is alive."""
    sweep = select(DB_NOW - DutyRow.ran_at).where(DutyRow.name == "sweep").scalar_subquery()
    row = connection.execute(
        update(WorkerRow)
        .where(WorkerRow.id == worker_id, WorkerRow.gone_at.is_(None))
        .values(seen_at=DB_NOW)
        .returning(WorkerRow.id, sweep.label("sweep_age"))
    ).first()
    return Pulse(row is not None, row.sweep_age if row is not None else None)


def leave(connection: Connection, worker_id: int) -> list[int]:
    """This worker stops in good order; what it still held is free at once. Returns those messages."""
    connection.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(gone_at=DB_NOW))
    freed = connection.execute(
        update(MessageRow)
        .where(MessageRow.lease_owner == worker_id, MessageRow.finished_at.is_(None))
        .values(lease_owner=None, lease_until=None, wake_at=DB_NOW, step="worker left", stepped_at=DB_NOW)
        .returning(MessageRow.id)
    )
    return list(freed.scalars())


def take_duty(connection: Connection, name: str, *, every_ms: int) -> bool:
    """True for exactly one caller in each slot of `every_ms`."""
    row = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(DutyRow).values(
        name=name, ran_at=DB_NOW
    )
    taken = connection.execute(
        row.on_conflict_do_update(
            index_elements=["name"], set_={"ran_at": DB_NOW}, where=DutyRow.ran_at <= DB_NOW - every_ms
        ).returning(DutyRow.name)
    ).first()
    return taken is not None


def forget_gone(connection: Connection, *, older_than_ms: int) -> int:
    """Drop workers that left or died long ago."""
    gone = connection.execute(delete(WorkerRow).where(WorkerRow.gone_at < DB_NOW - older_than_ms))
    return gone.rowcount
