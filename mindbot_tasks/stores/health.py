"""How the ledger is, for readiness, metrics and `mindbot doctor`; every figure comes from a small index."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, case, func, select

from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import DutyRow, MessageRow, WorkerRow

#: counting stops here; more than this is "a lot"
COUNT_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class HealthSnapshot:
    """Ages are seconds by the database's clock."""

    canary_age_s: dict[str, float] = field(default_factory=dict)  #: queue -> since a canary last came through
    sweep_age_s: float | None = None  #: None: nobody ever swept
    oldest_unstarted_s: float | None = None  #: of those whose turn it is; None: nothing waits
    unfinished: dict[str, int] = field(default_factory=dict)  #: state -> messages, together at most COUNT_LIMIT
    workers: int = 0
    served: frozenset[str] = frozenset()  #: queues that some living worker serves
    oldest_s: dict[str, float] = field(default_factory=dict)  #: state -> age of the oldest message in it
    queues: tuple[tuple[str, ...], ...] = ()  #: of each living worker


def snapshot(connection: Connection) -> HealthSnapshot:
    """The present state, in three statements."""
    ages = {name: age / 1000 for name, age in connection.execute(select(DutyRow.name, DB_NOW - DutyRow.ran_at))}
    # by due time, so that both databases find the small index, and what waits longest is among those looked at
    found = (
        select(MessageRow.id, MessageRow.conversation_id, MessageRow.state, MessageRow.attempt, MessageRow.received_at)
        .where(MessageRow.finished_at.is_(None))
        .order_by(MessageRow.wake_at)
        .limit(COUNT_LIMIT)
        .subquery()
    )
    # who waits for an earlier message of the same conversation is not forgotten by the workers
    first = func.min(found.c.id).over(partition_by=found.c.conversation_id) == found.c.id
    looked_at = select(found.c.state, found.c.attempt, found.c.received_at, first.label("first")).subquery()
    unstarted = looked_at.c.first & (looked_at.c.state == "received") & (looked_at.c.attempt == 0)
    counted = connection.execute(
        select(
            looked_at.c.state,
            func.count(),
            DB_NOW - func.min(case((unstarted, looked_at.c.received_at), else_=None)),
            DB_NOW - func.min(looked_at.c.received_at),
        ).group_by(looked_at.c.state)
    ).all()
    unfinished = {state: count for state, count, _, _ in counted}
    oldest = max((age for _, _, age, _ in counted if age is not None), default=None)
    queues = _queues(connection)
    return HealthSnapshot(
        canary_age_s={name.removeprefix("canary:"): age for name, age in ages.items() if name.startswith("canary:")},
        sweep_age_s=ages.get("sweep"),
        oldest_unstarted_s=None if oldest is None else oldest / 1000,
        unfinished=unfinished,
        workers=len(queues),
        served=frozenset(queue for worker in queues for queue in worker),
        oldest_s={state: max(0, age) / 1000 for state, _, _, age in counted},
        queues=tuple(tuple(worker) for worker in queues),
    )


def _queues(connection: Connection) -> list[list[str]]:
    """The queues of each living worker."""
    return list(connection.execute(select(WorkerRow.queues).where(WorkerRow.gone_at.is_(None))).scalars())


def served_queues(connection: Connection) -> set[str]:
    """Every queue that some living worker serves."""
    return {queue for worker in _queues(connection) for queue in worker}
