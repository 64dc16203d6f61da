"""The ledger once more, as plain Python over plain objects: what the SQL must do, for the state machine to compare."""

from __future__ import annotations

from dataclasses import dataclass, field

from mindbot_tasks.model.message import Stage, State, Verdict
from mindbot_tasks.stores.claims import CLAIMABLE, Following, next_stage
from mindbot_tasks.stores.sweeping import Decision, Due, End, GiveUp, Start, Wait

MARGIN = 30_000
GRACE = 5_000
WAITING = 10_000
SILENT = 8_000
STRIKES = 3
DEATHS = 6
LOST, ALONE = "worker lost", "worker lost: it had only this message"
WITNESS = 3_000


@dataclass
class Worker:
    """A worker process."""

    id: int
    seen_at: int
    silent: bool = False
    gone: bool = False


@dataclass
class Row:
    """A message, with the timeline it must have."""

    id: int
    conversation: str
    external_id: str
    received_at: int
    stepped_at: int
    deadline_at: int
    wake_at: int | None
    state: State = State.RECEIVED
    step: str = "received"
    verdict: Verdict | None = None
    attempt: int = 0
    strikes: int = 0
    retries: int = 0
    last_error: str | None = None
    owner: int | None = None
    until: int | None = None
    not_before: int | None = None
    finished_at: int | None = None
    classified_at: int | None = None
    answered_at: int | None = None
    replying_at: int | None = None
    sent_parts: int = 0
    has_answer: bool = False
    cancelled_at: int | None = None
    merged_into: int | None = None
    events: list[tuple[str, str, int]] = field(default_factory=list)
    sends: list[int] = field(default_factory=list)

    def wake_by(self, at: int) -> int:
        return min(at, self.deadline_at - MARGIN)

    def free(self) -> None:
        self.owner = self.until = None

    def leased(self, now: int) -> bool:
        return self.owner is not None and self.until is not None and self.until >= now

    def stepped(self, step: str, now: int) -> None:
        self.step, self.stepped_at = step, now
        self.events.append((step, self.state.value, self.attempt))

    def values(self) -> tuple[object, ...]:
        """What the row must hold."""
        return (
            self.state.value,
            self.verdict.value if self.verdict else None,
            self.attempt,
            self.strikes,
            self.retries,
            self.last_error,
            self.owner,
            self.until,
            self.not_before,
            self.wake_at,
            self.deadline_at,
            self.finished_at,
            self.classified_at,
            self.answered_at,
            self.replying_at,
            self.sent_parts,
            self.step,
            self.stepped_at,
            self.cancelled_at,
            self.merged_into,
        )

    @property
    def suspect(self) -> bool:
        return self.strikes >= STRIKES - 1 and self.last_error == LOST

    @property
    def follows(self) -> bool:
        return self.merged_into not in (None, self.id)


@dataclass(frozen=True)
class Hold:
    """What a worker believes to hold; true as long as the row says the same."""

    row: Row
    stage: Stage
    attempt: int


class Oracle:
    """All rows and workers, and what each call must change."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.workers: dict[int, Worker] = {}

    def line(self, row: Row) -> list[Row]:
        return [other for other in self.rows.values() if other.conversation == row.conversation]

    def first(self, row: Row) -> bool:
        return not any(other.id < row.id and other.finished_at is None for other in self.line(row))

    def record(
        self, message_id: int, conversation: str, external_id: str, deadline_ms: int, now: int, ours: bool
    ) -> Row:
        assert message_id not in self.rows
        assert all(message_id > other for other in self.rows), "ids rise in the order of arrival"
        row = Row(message_id, conversation, external_id, now, now, now + deadline_ms, now + GRACE if ours else None)
        if not ours:
            row.state, row.finished_at = State.IGNORED, now
        self.rows[message_id] = row
        row.stepped(row.state.value, now)
        return row

    def join(self, row: Row, window_ms: int, now: int) -> int | None:
        """A message that waits for more of its kind comes in; returns the one it joins."""
        row.not_before = now + window_ms
        waiting = [
            other
            for other in self.line(row)
            if other.id < row.id
            and other.finished_at is None
            and other.state is State.RECEIVED
            and other.owner is None
            and other.verdict is None
            and other.attempt == 0
            and other.not_before is not None
            and other.not_before > now
            and not other.follows
        ]
        if not waiting:
            return None
        first = max(waiting, key=lambda other: other.id)
        until = min(now + window_ms, first.received_at + 4 * window_ms)
        first.merged_into, first.not_before, first.wake_at = first.id, until, first.wake_by(until)
        first.stepped("received", now)
        row.merged_into, row.not_before, row.wake_at = first.id, None, row.deadline_at
        row.stepped("merged", now)
        return first.id

    def cancel_before(self, row: Row, now: int) -> set[int]:
        """Everything before this message is stopped; what is being sent is only marked."""
        stopped = set()
        for other in self.line(row):
            if (
                other.id < row.id
                and other.finished_at is None
                and other.cancelled_at is None
                and other.verdict is None
                and not other.follows
            ):
                other.cancelled_at = now
                stopped.add(other.id)
                if other.state is State.REPLYING and other.owner is not None:
                    other.stepped("stop asked for", now)
                    continue
                other.free()
                other.verdict, other.not_before, other.wake_at = Verdict.CANCELLED, None, now + GRACE
                other.strikes, other.retries, other.attempt = 0, 0, other.attempt + 1
                other.stepped("given up: cancelled", now)
        return stopped

    def _burst_ends(self, row: Row, now: int) -> None:
        if row.merged_into != row.id:
            return
        for other in self.line(row):
            if other.merged_into == row.id and other is not row and other.finished_at is None:
                other.state, other.verdict, other.finished_at, other.wake_at = row.state, row.verdict, now, None
                other.stepped(row.step, now)

    def may_claim(self, row: Row, stage: Stage, now: int, alone: bool = False) -> bool:
        usable = row.deadline_at - (0 if stage is Stage.REPLY else MARGIN) > now
        return (
            row.finished_at is None
            and row.state in CLAIMABLE[stage]
            and not row.leased(now)
            and (row.not_before is None or row.not_before <= now)
            and row.strikes < (DEATHS if alone and row.suspect else STRIKES)
            and (alone or stage is Stage.APOLOGISE or not row.suspect)
            and (row.verdict is not None) == (stage is Stage.APOLOGISE)
            and (usable or stage is Stage.APOLOGISE)
            and self.first(row)
            and not row.follows
            and (row.cancelled_at is None or stage is Stage.APOLOGISE)
        )

    def claim(self, row: Row, stage: Stage, worker: int, lease_ms: int, now: int) -> Hold:
        row.attempt += 1
        row.strikes += 1
        row.owner, row.until, row.not_before = worker, now + lease_ms, None
        row.wake_at = row.wake_by(now + lease_ms)
        if stage is Stage.REPLY:
            row.state = State.REPLYING
            row.replying_at = now if row.replying_at is None else row.replying_at
        row.stepped(f"{stage}:started", now)
        return Hold(row, stage, row.attempt)

    def holds(self, hold: Hold) -> bool:
        states = (State.REPLYING,) if hold.stage is Stage.REPLY else CLAIMABLE[hold.stage]
        row = hold.row
        return row.finished_at is None and row.attempt == hold.attempt and row.owner is not None and row.state in states

    def hand_over(self, hold: Hold, state: State, now: int) -> None:
        row = hold.row
        row.free()
        row.state, row.strikes, row.retries, row.last_error = state, 0, 0, None
        row.wake_at = row.wake_by(now + GRACE)
        if state is State.CLASSIFIED:
            row.classified_at = now
        else:
            row.answered_at, row.has_answer = now, True
        row.stepped(state.value, now)

    def part_sent(self, hold: Hold, sent_parts: int, now: int) -> None:
        hold.row.sends.append(sent_parts - 1)
        hold.row.sent_parts = sent_parts
        hold.row.stepped("part_sent", now)

    def finish(self, hold: Hold, state: State, sent_parts: int | None, now: int) -> Following | None:
        row = hold.row
        assert row.finished_at is None, "finished twice"
        assert self.first(row), "out of order"
        row.free()
        row.state, row.strikes, row.wake_at, row.finished_at = state, 0, None, now
        if sent_parts is not None and sent_parts > row.sent_parts:
            row.sends.append(sent_parts - 1)
        row.sent_parts = row.sent_parts if sent_parts is None else sent_parts
        row.stepped(state.value, now)
        self._burst_ends(row, now)
        return self.following(row)

    def following(self, row: Row) -> Following | None:
        waiting = [other for other in self.line(row) if other.id > row.id and other.finished_at is None]
        waiting = [other for other in waiting if not other.follows]
        return Following(waiting[0].id, next_stage(waiting[0].state, waiting[0].verdict)) if waiting else None

    def defer(self, hold: Hold, strikes: int, delay_ms: int, retried: bool, error: str, now: int) -> None:
        row = hold.row
        row.free()
        row.not_before = now + delay_ms
        row.wake_at = row.wake_by(now + delay_ms)
        row.strikes = strikes
        row.last_error = LOST if row.suspect else error
        row.retries += retried
        row.stepped(f"{hold.stage}:{'retry' if retried else 'released'}", now)

    def give_up(self, hold: Hold, verdict: Verdict, error: str, now: int) -> None:
        row = hold.row
        row.free()
        if row.sent_parts == 0 and row.strikes <= 1:
            row.replying_at = None
        row.verdict, row.strikes, row.retries, row.attempt = verdict, 0, 0, row.attempt + 1
        row.wake_at, row.last_error = now, error
        row.stepped(f"given up: {verdict}", now)

    def bury(self, now: int) -> set[int]:
        for worker in self.workers.values():
            worker.gone = worker.gone or worker.seen_at < now - SILENT
        return self.release({worker.id for worker in self.workers.values() if worker.gone}, "worker lost", now)

    def release(self, owners: set[int], step: str, now: int) -> set[int]:
        freed = set()
        for row in self.rows.values():
            if row.finished_at is None and row.owner in owners:
                row.free()
                tried_alone = row.verdict is None and row.strikes >= STRIKES and row.last_error == LOST
                row.wake_at = now + WITNESS if tried_alone else now
                row.last_error = LOST if row.verdict is None else row.last_error
                row.stepped(step, now)
                freed.add(row.id)
        return freed

    def condemn(self, hold: Hold, now: int) -> bool:
        """The process of this claim has died, with nothing else in hand."""
        row = hold.row
        if (
            row.finished_at is not None
            or row.verdict is not None
            or row.attempt != hold.attempt
            or row.strikes < STRIKES
        ):
            return False
        row.free()
        row.last_error, row.wake_at = ALONE, now
        row.stepped(LOST, now)
        return True

    def due(self, now: int) -> dict[int, Due]:
        return {
            row.id: Due(
                message_id=row.id,
                state=row.state,
                verdict=row.verdict,
                attempt=row.attempt,
                strikes=row.strikes,
                leased=row.leased(now),
                first=self.first(row),
                left_ms=row.deadline_at - now,
                delay_ms=row.not_before - now if row.not_before is not None else 0,
                step=row.step,
                idle_ms=now - row.stepped_at,
                wake_at=row.wake_at,
                cancelled=row.cancelled_at is not None,
                suspect=row.suspect,
            )
            for row in self.rows.values()
            if row.finished_at is None and row.wake_at is not None and row.wake_at <= now
        }

    def apply(self, row: Row, decision: Decision, now: int) -> None:
        match decision:
            case Start(stage=stage, look_again_ms=pause):
                row.wake_at, row.not_before = now + pause, None
                row.stepped(f"restarted: {stage}", now)
            case Wait(look_again_ms=pause):
                row.wake_at = now + pause
            case GiveUp(verdict=verdict):
                row.free()
                row.verdict, row.strikes, row.retries, row.attempt = verdict, 0, 0, row.attempt + 1
                row.not_before, row.wake_at = None, now + WAITING
                row.stepped(f"given up: {verdict}", now)
            case End(state=state):
                row.free()
                row.state, row.finished_at, row.wake_at = state, now, None
                row.stepped(state.value, now)
                self._burst_ends(row, now)

    def may_replay(self, row: Row, stage: Stage, now: int, force: bool) -> bool:
        overtaken = any(
            other.id > row.id and other.finished_at is None and other.leased(now) for other in self.line(row)
        )
        return (
            (force or (row.finished_at is not None and not overtaken))
            and (stage is not Stage.GENERATE or row.classified_at is not None)
            and (stage is not Stage.REPLY or row.has_answer)
        )

    def replay(self, row: Row, stage: Stage, deadline_ms: int, now: int) -> None:
        row.state = {Stage.CLASSIFY: State.RECEIVED, Stage.GENERATE: State.CLASSIFIED, Stage.REPLY: State.ANSWERED}[
            stage
        ]
        row.verdict = row.replying_at = row.last_error = row.finished_at = row.not_before = row.cancelled_at = None
        row.merged_into = row.id if row.merged_into == row.id else None
        row.free()
        row.attempt += 1
        row.strikes = row.retries = row.sent_parts = 0
        row.deadline_at = now + deadline_ms
        row.wake_at = row.wake_by(now + GRACE)
        if stage is not Stage.REPLY:
            row.answered_at = None
        if stage is Stage.CLASSIFY:
            row.classified_at = None
        row.stepped(f"replayed from {stage}", now)
