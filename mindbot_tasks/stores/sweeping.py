"""What the sweeper asks and changes: workers that went silent, messages that are due, what to do about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select, update

from mindbot_tasks.model.message import Stage, State, Verdict
from mindbot_tasks.stores.claims import APOLOGY_MARGIN_MS, MAX_STRIKES, first_in_line, next_stage
from mindbot_tasks.stores.clock import this_moment
from mindbot_tasks.stores.steps import HANDED_OVER
from mindbot_tasks.stores.suspects import MOST_DEATHS, WORKER_LOST, after_death, is_suspect
from mindbot_tasks.stores.tables import MessageRow, WorkerRow

#: a worker says that it is alive every 2 seconds; after this long it is taken for dead
SILENT_MS = 8_000
#: a message that waits for its turn is looked at this often, should the start of its turn get lost
WAITING_MS = 10_000
#: a task that waits for nobody is picked up in less
PICKUP_MS = 5_000
#: from the step in the ledger until its task is in the broker; more would only mean one start too many
PUBLISH_MS = 1_000
#: a message that nobody picks up for this long is started again even if no canary comes through
MAX_RESTART_MS = 120_000
#: after the deadline an apology is tried for this much longer
APOLOGY_PATIENCE_MS = 300_000


@dataclass(frozen=True, slots=True)
class Due:
    """A message that the sweeper should look at, with everything the decision needs."""

    message_id: int
    state: State
    verdict: Verdict | None
    attempt: int
    strikes: int
    leased: bool
    first: bool
    left_ms: int  #: until the deadline; negative after it
    delay_ms: int  #: until it may be tried again; 0 or less: it may
    step: str  #: the last one
    idle_ms: int  #: since that step
    wake_at: int
    cancelled: bool = False  #: somebody asked for it to be stopped
    suspect: bool = False  #: its next try may be its last; it may have taken two workers down
    platform: str = field(default="", compare=False)
    bot: str = field(default="", compare=False)
    label: str = field(default="", compare=False)
    confidence: float = field(default=0.0, compare=False)

    @property
    def handed_to(self) -> str:
        """The queue into which another process has put it, because its own was not made for it; "": none."""
        return self.step.removeprefix(HANDED_OVER) if self.step.startswith(HANDED_OVER) else ""

    @property
    def published(self) -> bool:
        """Whether a task for it was put into the broker after the last step, as far as the ledger knows."""
        return self.step in _PUBLISHING or self.step.startswith((RESTARTED, HANDED_OVER))


@dataclass(frozen=True, slots=True)
class Start:
    """Start the chain of a message at this stage; look again after `look_again_ms`."""

    stage: Stage
    look_again_ms: int
    alone: bool = False  #: in a process of its own


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now."""

    look_again_ms: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No answer will come; apologise."""

    verdict: Verdict


@dataclass(frozen=True, slots=True)
class End:
    """Not even an apology will come."""

    state: State
    note: str


Decision = Start | Wait | GiveUp | End

RESTARTED = "restarted: "
#: steps after which the chain goes on by itself; after all others, retries above all, only the sweeper starts it again
_PUBLISHING = ("received", "classified", "answered")


def decide(
    due: Due,
    *,
    through_ms: Mapping[str, int] | None,
    reply_queue: str = "reply",
    generate_queue: str = "generate",
) -> Decision:
    """What the sweeper does with a message; pure.

    reply_queue, generate_queue: where this message's reply or apology, and its answer, wait. through_ms: for each
    queue, how long ago the last canary that came out of it had been put in. A message whose task is in the queue is
    left alone: starting it again would only make the queue longer. Queues are first in, first out, so one that was put
    in before such a canary, and that nobody has picked up, got lost. One that nobody has published since its last step
    is started at once. None: the broker does not answer; nothing is started, but what has to end still ends.
    """
    if due.verdict is not None:
        return _decide_apology(due, through_ms=through_ms, reply_queue=reply_queue)
    if due.leased:
        if due.left_ms <= APOLOGY_MARGIN_MS and due.state is not State.REPLYING:
            return GiveUp(Verdict.LATE)
        return Wait(WAITING_MS)
    if due.cancelled:
        return GiveUp(Verdict.CANCELLED)
    stage = next_stage(due.state, None)
    # whoever holds the connection of a bot is the only one who can send by it
    alone = due.suspect and not (stage is Stage.REPLY and reply_queue != "reply")
    if due.strikes >= (MOST_DEATHS if alone else MAX_STRIKES):
        return GiveUp(Verdict.POISON)
    # an answer that is there already may use the time kept for an apology: it is the better message
    answered = due.state in (State.ANSWERED, State.REPLYING)
    usable_ms = due.left_ms - (0 if answered else APOLOGY_MARGIN_MS)
    if usable_ms <= 0:
        return GiveUp(Verdict.LATE)
    if due.delay_ms > 0:
        return Wait(min(due.delay_ms, usable_ms))
    if not due.first:
        return Wait(WAITING_MS)
    if through_ms is None:
        return Wait(PICKUP_MS)
    queue = {Stage.CLASSIFY: "classify", Stage.GENERATE: generate_queue, Stage.REPLY: reply_queue}[stage]
    if not _is_lost(due, queue, through_ms):
        return Wait(PICKUP_MS)
    return Start(stage, look_again_ms=min(PICKUP_MS, usable_ms), alone=alone)


def _is_lost(due: Due, queue: str, through_ms: Mapping[str, int]) -> bool:
    """Whether no task for the message is in this queue of the broker."""
    if not due.published or due.idle_ms >= MAX_RESTART_MS:
        return True
    canary_ms = through_ms.get(queue)
    return canary_ms is not None and due.idle_ms > canary_ms + PUBLISH_MS


def _decide_apology(due: Due, *, through_ms: Mapping[str, int] | None, reply_queue: str) -> Decision:
    end = State.QUARANTINED if due.verdict is Verdict.POISON else State.EXPIRED
    if due.leased:
        return Wait(WAITING_MS)
    if due.strikes >= MAX_STRIKES:
        return End(end, "the apology took its worker down")
    if due.left_ms < -APOLOGY_PATIENCE_MS:
        return End(end, "the apology could not be delivered in time")
    if due.delay_ms > 0:
        return Wait(due.delay_ms)
    if not due.first:
        return Wait(WAITING_MS)
    if through_ms is None or not _is_lost(due, reply_queue, through_ms):
        return Wait(PICKUP_MS)
    return Start(Stage.APOLOGISE, look_again_ms=PICKUP_MS)


def bury_silent_workers(connection: Connection, *, now: int | None = None) -> list[int]:
    """Mark workers that no longer say they live, and free what they held; returns the messages freed.

    The strikes of those messages stay, so that one that killed its worker is counted.
    """
    at = this_moment(now)
    connection.execute(
        update(WorkerRow).where(WorkerRow.gone_at.is_(None), WorkerRow.seen_at < at - SILENT_MS).values(gone_at=at)
    )
    return _free_held_by_the_dead(connection, now)


def bury(connection: Connection, worker_ids: Sequence[int], *, now: int | None = None) -> tuple[list[int], list[int]]:
    """Mark workers whose process has ended, and free what they held; returns those nobody had marked yet, and the
    messages freed."""
    buried = connection.execute(
        update(WorkerRow)
        .where(WorkerRow.id.in_(worker_ids), WorkerRow.gone_at.is_(None))
        .values(gone_at=this_moment(now))
        .returning(WorkerRow.id)
    )
    marked = list(buried.scalars())
    return marked, _free_held_by_the_dead(connection, now) if marked else []


def _free_held_by_the_dead(connection: Connection, now: int | None) -> list[int]:
    at = this_moment(now)
    freed = connection.execute(
        update(MessageRow)
        .where(
            MessageRow.lease_owner.in_(select(WorkerRow.id).where(WorkerRow.gone_at.is_not(None))),
            MessageRow.lease_owner.is_not(None),
            MessageRow.finished_at.is_(None),
        )
        .values(
            lease_owner=None,
            lease_until=None,
            step=WORKER_LOST,
            stepped_at=at,
            note=func.nullif(MessageRow.last_error, WORKER_LOST),
            **after_death(at),
        )
        .returning(MessageRow.id)
    )
    return list(freed.scalars())


def find_due(connection: Connection, *, limit: int = 500, now: int | None = None) -> list[Due]:
    """Unfinished messages whose `wake_at` has come, the longest waiting first."""
    at = this_moment(now)
    rows = connection.execute(
        select(
            MessageRow.id,
            MessageRow.state,
            MessageRow.verdict,
            MessageRow.attempt,
            MessageRow.strikes,
            (MessageRow.lease_owner.is_not(None) & (MessageRow.lease_until >= at)).label("leased"),
            first_in_line().label("first"),
            (MessageRow.deadline_at - at).label("left"),
            func.coalesce(MessageRow.not_before - at, 0).label("delay"),
            MessageRow.step,
            (at - MessageRow.stepped_at).label("idle"),
            MessageRow.wake_at,
            MessageRow.cancelled_at.is_not(None).label("cancelled"),
            MessageRow.platform,
            MessageRow.bot,
            MessageRow.label,
            MessageRow.confidence,
            MessageRow.last_error,
        )
        .where(MessageRow.finished_at.is_(None), MessageRow.wake_at <= at)
        .order_by(MessageRow.wake_at)
        .limit(limit)
    )
    return [
        Due(
            message_id=row.id,
            state=State(row.state),
            verdict=Verdict(row.verdict) if row.verdict else None,
            attempt=row.attempt,
            strikes=row.strikes,
            leased=bool(row.leased),
            first=bool(row.first),
            left_ms=row.left,
            delay_ms=row.delay,
            step=row.step,
            idle_ms=row.idle,
            wake_at=row.wake_at,
            cancelled=bool(row.cancelled),
            suspect=is_suspect(row.strikes, row.last_error),
            platform=row.platform,
            bot=row.bot,
            label=row.label or "",
            confidence=row.confidence or 0.0,
        )
        for row in rows
    ]


def postpone(connection: Connection, message_ids: Sequence[int], pause_ms: int, *, now: int | None = None) -> None:
    """Write down `Wait` for many at once; those that have moved on meanwhile are left alone."""
    at = this_moment(now)
    connection.execute(
        update(MessageRow)
        .where(MessageRow.id.in_(message_ids), MessageRow.finished_at.is_(None), MessageRow.wake_at <= at)
        .values(wake_at=at + pause_ms)
    )


def apply(connection: Connection, due: Due, decision: Decision, *, now: int | None = None) -> bool:
    """Write the decision down; False when the message has moved on, or another sweeper was faster."""
    at = this_moment(now)
    values: dict[str, Any]
    match decision:
        case Start(stage=stage, look_again_ms=pause):
            # this long without anybody picking it up means that this start got lost, too
            values = {
                "wake_at": at + pause,
                "not_before": None,
                "step": f"{RESTARTED}{stage}",
                "stepped_at": at,
                "note": None,
            }
        case Wait(look_again_ms=pause):
            values = {"wake_at": at + pause}
        case GiveUp(verdict=verdict):
            values = {
                "verdict": verdict.value,
                "attempt": MessageRow.attempt + 1,  # whoever still works on it has lost it
                "strikes": 0,
                "retries": 0,
                "lease_owner": None,
                "lease_until": None,
                "not_before": None,
                "wake_at": at + WAITING_MS,
                "step": f"given up: {verdict}",
                "stepped_at": at,
                "note": MessageRow.last_error,
            }
        case End(state=state, note=note):
            values = {
                "state": state.value,
                "finished_at": at,
                "wake_at": None,
                "lease_owner": None,
                "lease_until": None,
                "step": state.value,
                "stepped_at": at,
                "note": note,
            }
    changed = connection.execute(
        update(MessageRow)
        .where(
            MessageRow.id == due.message_id,
            MessageRow.attempt == due.attempt,
            MessageRow.wake_at == due.wake_at,
            MessageRow.finished_at.is_(None),
        )
        .values(**values)
    )
    return changed.rowcount == 1
