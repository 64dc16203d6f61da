"""How fast messages come and how long each stage takes, measured in the ledger; for `mindbot tune`."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, case, func, select

from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import EventRow, MessageRow

#: the step in which each stage ends well
_ENDS = {"classified": Stage.CLASSIFY, "answered": Stage.GENERATE, "replied": Stage.REPLY}
#: what the agent answers has workers of its own
AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Pace:
    """One stage in the time looked at."""

    done: int
    mean_s: float  #: in a slot of a worker
    waited_s: float  #: before that, for a slot; on average


def arrivals(connection: Connection, *, window_ms: int) -> tuple[int, float]:
    """How many messages came, and in how many seconds: the window, or since the first message if that is later."""
    row = connection.execute(
        select(func.count(), DB_NOW - func.min(MessageRow.received_at)).where(
            MessageRow.received_at >= DB_NOW - window_ms
        )
    ).one()
    count, since_ms = row
    earlier = connection.execute(
        select(MessageRow.id).where(MessageRow.received_at < DB_NOW - window_ms).limit(1)
    ).first()
    seconds = window_ms / 1000 if earlier is not None or since_ms is None else max(1.0, since_ms / 1000)
    return count, seconds


def paces(connection: Connection, *, window_ms: int) -> dict[str, Pace]:
    """Each stage that ended at least once, and AGENT; messages that were received in the window count."""
    by_agent = (EventRow.step == "answered") & (EventRow.note == AGENT)
    recent = (
        select(case((by_agent, AGENT), else_=EventRow.step).label("step"), EventRow.took_ms)
        .join(MessageRow, MessageRow.id == EventRow.message_id)
        .where(MessageRow.received_at >= DB_NOW - window_ms)
        .subquery()
    )
    rows = connection.execute(
        select(recent.c.step, func.count(), func.avg(recent.c.took_ms)).group_by(recent.c.step)
    ).all()
    found = {step: (count, float(mean) / 1000) for step, count, mean in rows}
    result: dict[str, Pace] = {}
    for step, stage in _ENDS.items():
        if step in found:
            count, mean_s = found[step]
            _, waited_s = found.get(f"{stage}:started", (0, 0.0))
            result[stage] = Pace(count, mean_s, waited_s)
    if AGENT in found:
        count, mean_s = found[AGENT]
        result[AGENT] = Pace(count, mean_s, found.get(f"{Stage.GENERATE}:started", (0, 0.0))[1])
    return result
