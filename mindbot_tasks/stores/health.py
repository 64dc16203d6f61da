"""How the ledger is, for readiness, metrics and `mindbot doctor`; every figure comes from a small index."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import DutyRow, MessageRow, WorkerRow

#: counting stops here; more than this is "a lot"
COUNT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class HealthSnapshot:
    """Ages are seconds by the database's clock."""

    canary_age_s: dict[str, float] = field(default_factory=dict)  #: queue -> since a canary last came through
    sweep_age_s: float | None = None  #: None: nobody ever swept
    oldest_unstarted_s: float | None = None  #: None: nothing waits
    unfinished: dict[str, int] = field(default_factory=dict)  #: state -> messages, together at most COUNT_LIMIT
    workers: int = 0
    served: frozenset[str] = frozenset()  #: queues that some living worker serves


def snapshot(connection: Connection) -> HealthSnapshot:
    """The present state, in four statements."""
    ages = {
        name: age / 1000 for name, age in connection.execute(select(DutyRow.name, DB_NOW - DutyRow.ran_at)).tuples()
    }
    oldest = connection.execute(
        select(DB_NOW - func.min(MessageRow.received_at)).where(
            MessageRow.finished_at.is_(None), MessageRow.state == "received", MessageRow.attempt == 0
        )
    ).scalar()
    open_states = select(MessageRow.state).where(MessageRow.finished_at.is_(None)).limit(COUNT_LIMIT).subquery()
    unfinished: dict[str, int] = dict(
        connection.execute(select(open_states.c.state, func.count()).group_by(open_states.c.state)).tuples().all()
    )
    queues = _queues(connection)
    return HealthSnapshot(
        canary_age_s={name.removeprefix("canary:"): age for name, age in ages.items() if name.startswith("canary:")},
        sweep_age_s=ages.get("sweep"),
        oldest_unstarted_s=None if oldest is None else oldest / 1000,
        unfinished=unfinished,
        workers=len(queues),
        served=frozenset(queue for worker in queues for queue in worker),
    )


def _queues(connection: Connection) -> list[list[str]]:
    """The queues of each living worker."""
    return list(connection.execute(select(WorkerRow.queues).where(WorkerRow.gone_at.is_(None))).scalars())


def served_queues(connection: Connection) -> set[str]:
    """Every queue that some living worker serves."""
    return {queue for worker in _queues(connection) for queue in worker}
