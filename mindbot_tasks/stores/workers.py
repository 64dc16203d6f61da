"""Which worker processes there are, and which periodic duties were taken up when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, delete, func, insert, literal, select, update

from mindbot_tasks.stores import learning
from mindbot_tasks.stores.clock import DB_NOW, later, this_moment
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.knowledge_version import NEWEST
from mindbot_tasks.stores.suspects import after_death
from mindbot_tasks.stores.tables import DutyRow, MessageRow, WorkerRow

_ANY = WorkerRow.__table__.alias("any_worker")


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a worker learns when it says that it is alive."""

    known: bool  #: False: it was taken for dead and must register anew
    sweep_age_ms: int | None  #: since the last sweep; None: there was none
    classifier: int = 0  #: number of the active version of the classifier; 0: the one that comes with MindBot
    knowledge: int = 0  #: version of what the bot has read; 0: nothing
    newest: int = 0  #: id of the worker that registered last


def register(
    connection: Connection, name: str, queues: Sequence[str], *, process: str = "", now: int | None = None
) -> int:
    """A new worker process; returns its id. process: how others on its machine can watch it."""
    at = this_moment(now)
    return connection.execute(
        insert(WorkerRow)
        .values(name=name[:255], process=process, queues=list(queues), started_at=at, seen_at=at)
        .returning(WorkerRow.id)
    ).scalar_one()


def beat(connection: Connection, worker_id: int, *, now: int | None = None) -> Pulse:
    """This worker is alive."""
    at = this_moment(now)
    sweep = select(at - DutyRow.ran_at).where(DutyRow.name == "sweep").scalar_subquery()
    row = connection.execute(
        update(WorkerRow)
        .where(WorkerRow.id == worker_id, WorkerRow.gone_at.is_(None))
        .values(seen_at=at)
        .returning(
            WorkerRow.id,
            sweep.label("sweep_age"),
            learning.active().label("classifier"),
            NEWEST.label("knowledge"),
            select(func.max(_ANY.c.id)).scalar_subquery().label("newest"),
        )
    ).first()
    return (
        Pulse(True, row.sweep_age, row.classifier or 0, row.knowledge or 0, row.newest)
        if row is not None
        else Pulse(False, None)
    )


def neighbours(connection: Connection, place: str) -> dict[int, str]:
    """The living workers of this place, each with what it can be watched by."""
    rows = connection.execute(
        select(WorkerRow.id, WorkerRow.process).where(
            WorkerRow.gone_at.is_(None), WorkerRow.process.startswith(f"{place}/", autoescape=True)
        )
    )
    return {row.id: row.process for row in rows}


def leave(connection: Connection, worker_id: int, *, now: int | None = None) -> list[int]:
    """This worker stops in good order; what it still held is free at once. Returns those messages.

    Their strikes stay: work that could not even be stopped may be what takes workers down, and of a reply nobody knows
    whether it went out.
    """
    at = this_moment(now)
    connection.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(gone_at=at))
    freed = connection.execute(
        update(MessageRow)
        .where(MessageRow.lease_owner == worker_id, MessageRow.finished_at.is_(None))
        .values(
            lease_owner=None,
            lease_until=None,
            step="worker left",
            stepped_at=at,
            note=None,
            **after_death(at),
        )
        .returning(MessageRow.id)
    )
    return list(freed.scalars())


def take_duty(connection: Connection, name: str, *, every_ms: int, now: int | None = None) -> bool:
    """True for exactly one caller in each slot of `every_ms`."""
    at = DB_NOW if now is None else literal(now, BigInteger)
    row = insert_into(DutyRow, connection.dialect.name).values(name=name, ran_at=at)
    taken = connection.execute(
        row.on_conflict_do_update(
            index_elements=["name"], set_={"ran_at": at}, where=DutyRow.ran_at <= at - every_ms
        ).returning(DutyRow.name)
    ).first()
    return taken is not None


def note_canary(connection: Connection, queue: str, sent_at: int) -> None:
    """A canary that was sent at `sent_at` has come out of `queue`: whatever was put in before it is out as well."""
    row = insert_into(DutyRow, connection.dialect.name)
    rows = row.values([{"name": f"canary:{queue}", "ran_at": DB_NOW}, {"name": f"through:{queue}", "ran_at": sent_at}])
    connection.execute(
        rows.on_conflict_do_update(
            index_elements=["name"], set_={"ran_at": later(DutyRow.ran_at, rows.excluded.ran_at)}
        )
    )


def through_ms(connection: Connection) -> dict[str, int]:
    """For each queue, how long ago the last canary that came out of it had been put in."""
    rows = connection.execute(
        select(DutyRow.name, (DB_NOW - DutyRow.ran_at).label("age")).where(DutyRow.name.like("through:%"))
    )
    return {row.name.removeprefix("through:"): row.age for row in rows}


def database_time(connection: Connection) -> int:
    """Milliseconds since 1970 by the database's clock."""
    return connection.execute(select(DB_NOW)).scalar_one()


def forget_gone(connection: Connection, *, older_than_ms: int) -> int:
    """Drop workers that left or died long ago."""
    gone = connection.execute(delete(WorkerRow).where(WorkerRow.gone_at < DB_NOW - older_than_ms))
    return gone.rowcount


def silent_ms(connection: Connection) -> int | None:
    """Since the last word of any worker; None: there never was one."""
    return connection.execute(select(DB_NOW - func.max(WorkerRow.seen_at))).scalar()


def duty_age_ms(connection: Connection, name: str) -> int | None:
    """Since a duty was last taken up; None: never."""
    return connection.execute(select(DB_NOW - DutyRow.ran_at).where(DutyRow.name == name)).scalar()


def serving(connection: Connection) -> list[tuple[str, list[str]]]:
    """The name of each living worker with its queues."""
    rows = connection.execute(select(WorkerRow.name, WorkerRow.queues).where(WorkerRow.gone_at.is_(None)))
    return [(name, queues) for name, queues in rows]
