"""The ledger against its oracle: any order of messages, claims, crashes, retries, sweeps and passing time."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, select

from mindbot_tasks.model.message import Stage, State, Verdict
from mindbot_tasks.stores import bursts, cancelling, claims, inbox, replaying, steps, suspects, sweeping, workers
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.replaying import CannotReplay
from mindbot_tasks.stores.steps import LostLease
from mindbot_tasks.stores.sweeping import End, GiveUp, Start
from mindbot_tasks.stores.tables import EventRow, MessageRow, SendRow
from tests.conftest import truncate
from tests.stores.oracle import SILENT, Hold, Oracle, Row, Worker
from tests.stores.words import ANSWER, GENERAL, LEASE_MS, message, worker

settings.register_profile("quick", max_examples=25, stateful_step_count=40)
settings.register_profile("long", max_examples=1_000, stateful_step_count=80, derandomize=False)  # `make chaos`
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")

#: of the sweeper
SLOT_MS = 5_000
CONVERSATIONS = st.sampled_from(["c1", "c2"])
DEADLINES = st.sampled_from([600_000, 100_000])
STAGES = st.sampled_from(list(Stage))
PAUSES = st.sampled_from([0, 1, 2_000, 5_000, 9_000, 10_000, 30_000, 70_000, 150_000, 151_000, 600_000])

_COLUMNS = (
    MessageRow.state,
    MessageRow.verdict,
    MessageRow.attempt,
    MessageRow.strikes,
    MessageRow.retries,
    MessageRow.last_error,
    MessageRow.lease_owner,
    MessageRow.lease_until,
    MessageRow.not_before,
    MessageRow.wake_at,
    MessageRow.deadline_at,
    MessageRow.finished_at,
    MessageRow.classified_at,
    MessageRow.answered_at,
    MessageRow.replying_at,
    MessageRow.sent_parts,
    MessageRow.step,
    MessageRow.stepped_at,
    MessageRow.cancelled_at,
    MessageRow.merged_into,
)


class Ledger(RuleBasedStateMachine):
    """Each rule makes one call and lets the oracle make the same; the rows must stay equal."""

    messages = Bundle("messages")
    held = Bundle("held")
    workers = Bundle("workers")

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        truncate(engine)
        self.oracle = Oracle()
        self.now = 1_700_000_000_000
        self.through_ms: dict[str, int] | None = {}
        self.deaf = False

    # who is there

    @initialize(target=workers, deaf=st.booleans())
    def begin(self, deaf: bool) -> int:
        self.deaf = deaf  #: at the end, nobody picks up what the sweeper starts
        return self._new_worker()

    @rule(target=workers)
    def new_worker(self) -> int:
        return self._new_worker()

    def _new_worker(self) -> int:

        worker_id = worker(self.engine, now=self.now)
        self.oracle.workers[worker_id] = Worker(worker_id, self.now)
        return worker_id

    @rule(worker=workers)
    def crash(self, worker: int) -> None:
        """Silence; what it held stays held until somebody notices."""
        self.oracle.workers[worker].silent = True

    @rule(worker=workers)
    def leave(self, worker: int) -> None:
        with one_statement(self.engine) as connection:
            freed = workers.leave(connection, worker, now=self.now)
        self.oracle.workers[worker].gone = True
        assert set(freed) == self.oracle.release({worker}, "worker left", self.now)

    @rule(pause=PAUSES)
    def time_passes(self, pause: int) -> None:
        self.now += pause
        for process in self.oracle.workers.values():
            if not process.silent and not process.gone:
                with one_statement(self.engine) as connection:
                    assert workers.beat(connection, process.id, now=self.now).known
                process.seen_at = self.now

    @rule(queue=st.sampled_from(["classify", "generate", "reply"]), age_ms=st.sampled_from([0, 3_000, 60_000]))
    def a_canary_comes_through(self, queue: str, age_ms: int) -> None:
        self.through_ms = {**(self.through_ms or {}), queue: age_ms}

    @rule()
    def the_broker_goes_away(self) -> None:
        self.through_ms = None

    # messages come in

    @rule(target=messages, conversation=CONVERSATIONS, deadline_ms=DEADLINES, ours=st.sampled_from([True, True, False]))
    def record(self, conversation: str, deadline_ms: int, ours: bool) -> Row:
        incoming = message(conversation=conversation, addressed=ours)
        with one_statement(self.engine) as connection:
            recorded = inbox.record_once(connection, incoming, deadline_ms=deadline_ms, now=self.now)
        row = self.oracle.record(recorded.message_id, conversation, incoming.external_id, deadline_ms, self.now, ours)
        assert recorded.fresh
        assert recorded.ignored is not ours
        assert recorded.first_in_line == self.oracle.first(row)
        return row

    @rule(target=messages, conversation=CONVERSATIONS, window_ms=st.sampled_from([2_000, 9_000]))
    def record_one_of_a_burst(self, conversation: str, window_ms: int) -> Row:
        incoming = message(conversation=conversation)
        with transaction(self.engine) as connection:
            recorded = inbox.record_once(connection, incoming, deadline_ms=600_000, hold_ms=window_ms, now=self.now)
            joined = bursts.join(connection, recorded.message_id, window_ms=window_ms, now=self.now)
        row = self.oracle.record(recorded.message_id, conversation, incoming.external_id, 600_000, self.now, True)
        assert recorded.first_in_line == self.oracle.first(row)
        assert joined == self.oracle.join(row, window_ms, self.now)
        return row

    @rule(target=messages, conversation=CONVERSATIONS)
    def stop_what_goes_on(self, conversation: str) -> Row:
        incoming = message(conversation=conversation, text="/stop")
        with transaction(self.engine) as connection:
            recorded = inbox.record_once(connection, incoming, deadline_ms=600_000, now=self.now)
            stopped = cancelling.cancel_before(connection, recorded.message_id, sender_ref="u1", now=self.now)
        row = self.oracle.record(recorded.message_id, conversation, incoming.external_id, 600_000, self.now, True)
        assert {one.message_id for one in stopped} == self.oracle.cancel_before(row, self.now)
        return row

    @rule(row=messages, conversation=CONVERSATIONS)
    def duplicate(self, row: Row, conversation: str) -> None:
        with one_statement(self.engine) as connection:
            again = inbox.record_once(
                connection, message(row.external_id, conversation=conversation), deadline_ms=1, now=self.now
            )
        assert (again.message_id, again.fresh) == (row.id, False)

    @rule(row=messages)
    def look_who_is_first(self, row: Row) -> None:
        with one_statement(self.engine) as connection:
            assert inbox.is_first_in_line(connection, row.id) == self.oracle.first(row)

    @rule(row=messages)
    def look_whether_it_is_to_be_tried_alone(self, row: Row) -> None:
        with reading(self.engine) as connection:
            last = suspects.last_attempt(connection, row.id, now=self.now)
        waits = row.suspect and row.verdict is None and row.finished_at is None and not row.leased(self.now)
        assert last == (row.attempt if waits else None)

    # stages work on them

    @rule(target=held, row=messages, stage=STAGES, worker=workers, alone=st.booleans())
    def claim_any(self, row: Row, stage: Stage, worker: int, alone: bool) -> tuple[Claim, Hold] | None:
        return self._claim(row, stage, worker, alone)

    @rule(pair=held)
    def die_of_it(self, pair: tuple[Claim, Hold] | None) -> None:
        """A process that had nothing else in hand; the worker beside it tells."""
        if pair is None:
            return
        claim, hold = pair
        with one_statement(self.engine) as connection:
            told = suspects.condemn(connection, claim.message_id, claim.attempt, worker_name="test", now=self.now)
        assert told == self.oracle.condemn(hold, self.now)

    @rule(target=held, row=messages, worker=workers, alone=st.booleans())
    def claim_what_is_next(self, row: Row, worker: int, alone: bool) -> tuple[Claim, Hold] | None:
        if row.finished_at is not None:
            return None
        return self._claim(row, claims.next_stage(row.state, row.verdict), worker, alone)

    def _claim(self, row: Row, stage: Stage, worker: int, alone: bool) -> tuple[Claim, Hold] | None:
        expected = self.oracle.may_claim(row, stage, self.now, alone)
        with one_statement(self.engine) as connection:
            claim = claims.claim(connection, row.id, stage, worker=worker, lease_ms=LEASE_MS, alone=alone, now=self.now)
        assert (claim is not None) == expected
        if claim is None:
            return None
        hold = self.oracle.claim(row, stage, worker, LEASE_MS, self.now)
        assert (claim.attempt, claim.strikes) == (row.attempt, row.strikes)
        assert claim.uncertain == (stage is Stage.REPLY and row.strikes > 1)
        assert (claim.answer is not None) == (stage is Stage.REPLY)
        return claim, hold

    @rule(pair=held, parts=st.integers(1, 3))
    def advance(self, pair: tuple[Claim, Hold] | None, parts: int) -> None:
        if pair is not None:
            self._advance(*pair, parts)

    def _advance(self, claim: Claim, hold: Hold, parts: int) -> None:
        if not self.oracle.holds(hold):
            with pytest.raises(LostLease):
                self._write(claim, parts)
            return
        following = self._write(claim, parts)
        row, now = hold.row, self.now
        if claim.stage is Stage.CLASSIFY:
            self.oracle.hand_over(hold, State.CLASSIFIED, now)
        elif claim.stage is Stage.GENERATE:
            self.oracle.hand_over(hold, State.ANSWERED, now)
        elif claim.stage is Stage.REPLY:
            for number in range(claim.sent_parts + 1, max(parts, claim.sent_parts + 1)):
                self.oracle.part_sent(hold, number, now)
            total = max(parts, claim.sent_parts + 1)
            assert following == self.oracle.finish(hold, State.REPLIED, total, now)
        else:
            sent = None if claim.replying else 1
            assert following == self.oracle.finish(hold, self._end(claim), sent, now)
            assert row.verdict is not None

    @staticmethod
    def _end(claim: Claim) -> State:
        if claim.verdict is Verdict.POISON:
            return State.QUARANTINED
        return State.EXPIRED if claim.replying else State.APOLOGISED

    def _write(self, claim: Claim, parts: int) -> Any:
        now = self.now
        if claim.stage is Stage.CLASSIFY:
            with one_statement(self.engine) as connection:
                return steps.save_classification(connection, claim, GENERAL, now=now)
        if claim.stage is Stage.GENERATE:
            with transaction(self.engine) as connection:
                return steps.save_answer(connection, claim, ANSWER, sessions={"dify": "s1"}, now=now)
        with one_statement(self.engine) as connection:
            if claim.stage is Stage.APOLOGISE:
                sent = None if claim.replying else 1
                return steps.finish(connection, claim, self._end(claim), sent_parts=sent, now=now)
            total = max(parts, claim.sent_parts + 1)
            for number in range(claim.sent_parts + 1, total):
                steps.note_part_sent(connection, claim, sent_parts=number, sent_id="x", note=None, now=now)
            return steps.finish(connection, claim, State.REPLIED, sent_parts=total, sent_id="x", now=now)

    @rule(
        pair=held,
        delay_ms=st.sampled_from([0, 4_000, 60_000, 400_000]),
        kind=st.sampled_from(["retry", "limit", "bug"]),
    )
    def defer(self, pair: tuple[Claim, Hold] | None, delay_ms: int, kind: str) -> None:
        if pair is None:
            return
        claim, hold = pair
        options = {"retried": kind == "retry", "keep_strikes": kind == "bug"}
        with one_statement(self.engine) as connection:
            if not self.oracle.holds(hold):
                with pytest.raises(LostLease):
                    steps.defer(connection, claim, delay_ms=delay_ms, error="no", now=self.now, **options)
                return
            steps.defer(connection, claim, delay_ms=delay_ms, error="no", now=self.now, **options)
        strikes = claim.strikes - (kind != "bug")
        self.oracle.defer(hold, strikes, delay_ms, kind == "retry", "no", self.now)

    @rule(pair=held, verdict=st.sampled_from([Verdict.FAILED, Verdict.CANCELLED, Verdict.POISON]))
    def give_up(self, pair: tuple[Claim, Hold] | None, verdict: Verdict) -> None:
        if pair is None:
            return
        claim, hold = pair
        with one_statement(self.engine) as connection:
            if not self.oracle.holds(hold):
                with pytest.raises(LostLease):
                    self._end_badly(connection, claim, verdict)
                return
            following = self._end_badly(connection, claim, verdict)
        if claim.stage is Stage.APOLOGISE:
            state = State.QUARANTINED if claim.verdict is Verdict.POISON else State.EXPIRED
            assert following == self.oracle.finish(hold, state, None, self.now)
        else:
            self.oracle.give_up(hold, verdict, "no", self.now)

    def _end_badly(self, connection: Any, claim: Claim, verdict: Verdict) -> Any:
        if claim.stage is Stage.APOLOGISE:
            return steps.end_in_silence(connection, claim, error="no", now=self.now)
        return steps.give_up(connection, claim, verdict, error="no", now=self.now)

    # upkeep

    @rule()
    def sweep(self) -> None:
        self._sweep()

    def _sweep(self) -> list[tuple[Row, Stage]]:
        with one_statement(self.engine) as connection:
            freed = sweeping.bury_silent_workers(connection, now=self.now)
        assert set(freed) == self.oracle.bury(self.now)
        with reading(self.engine) as connection:
            found = sweeping.find_due(connection, now=self.now)
        assert {due.message_id: due for due in found} == self.oracle.due(self.now)
        started = []
        for due in found:
            decision = sweeping.decide(due, through_ms=self.through_ms)
            row = self.oracle.rows[due.message_id]
            with one_statement(self.engine) as connection:
                changed = sweeping.apply(connection, due, decision, now=self.now)
            if row.finished_at is not None:
                assert not changed, "the end of its burst has ended it"
                continue
            assert changed
            before_verdict = row.verdict
            self.oracle.apply(row, decision, self.now)
            assert row.wake_at is None or row.wake_at > self.now, "the sweeper looks again and again"
            if isinstance(decision, Start):
                assert self.oracle.first(row)
                started.append((row, decision.stage))
                assert decision.alone == (due.suspect and due.verdict is None)
            elif isinstance(decision, GiveUp):
                assert before_verdict is None
                assert decision.verdict is not Verdict.POISON or due.strikes == (6 if due.suspect else 3)
                started.append((row, Stage.APOLOGISE))
            elif isinstance(decision, End):
                assert row.state is (State.QUARANTINED if row.verdict is Verdict.POISON else State.EXPIRED)
        return started

    @rule(row=messages, stage=STAGES, force=st.booleans())
    def replay(self, row: Row, stage: Stage, force: bool) -> None:
        elsewhere = any(other is not row and other.leased(self.now) for other in self.oracle.line(row))
        force = force and not elsewhere  # who forces a replay past another message's turn gets two at once
        allowed = stage is not Stage.APOLOGISE and self.oracle.may_replay(row, stage, self.now, force)
        with transaction(self.engine) as connection:
            if not allowed:
                with pytest.raises(CannotReplay):
                    replaying.rewind(connection, row.id, stage, deadline_ms=600_000, force=force, now=self.now)
                return
            replaying.rewind(connection, row.id, stage, deadline_ms=600_000, force=force, now=self.now)
        self.oracle.replay(row, stage, 600_000, self.now)

    # what holds at any time

    @invariant()
    def the_rows_are_as_the_oracle_says(self) -> None:
        with reading(self.engine) as connection:
            rows = {row[0]: tuple(row[1:]) for row in connection.execute(select(MessageRow.id, *_COLUMNS))}
        assert rows == {row.id: row.values() for row in self.oracle.rows.values()}

    @invariant()
    def one_message_of_a_conversation_at_a_time(self) -> None:
        for conversation in ("c1", "c2"):
            live = [
                row.id
                for row in self.oracle.rows.values()
                if row.conversation == conversation and row.finished_at is None and row.leased(self.now)
            ]
            assert len(live) <= 1

    @invariant()
    def nobody_is_forgotten(self) -> None:
        for row in self.oracle.rows.values():
            assert (row.finished_at is None) == (row.wake_at is not None)

    def teardown(self) -> None:
        """Whatever happened: with sweeps and time, and with or without workers, everything ends."""
        try:
            self._everything_ends()
            self._timelines_are_complete()
        finally:
            truncate(self.engine)

    def _everything_ends(self) -> None:
        self.through_ms = {"classify": 0, "generate": 0, "reply": 0}
        waiting = [row for row in self.oracle.rows.values() if row.finished_at is None]
        if not waiting:
            return
        worker = self._new_worker()
        # the last deadline, an apology's patience, a look again; then each of the line in its turn
        patience_ms = 1000 * (600 + 300 + 120 + 150 * len(waiting))
        ends_at = self.now + patience_ms
        while self.now <= ends_at:
            for row, stage in self._sweep():
                pair = None if self.deaf else self._claim(row, stage, worker, alone=True)
                while pair is not None:
                    self._advance(*pair, parts=1)
                    if row.finished_at is not None:
                        break
                    pair = self._claim(row, claims.next_stage(row.state, row.verdict), worker, alone=True)
            if all(row.finished_at is not None for row in waiting):
                break
            self.time_passes(self._until_next_event_ms())
        else:
            pytest.fail(f"never ended: {[row for row in waiting if row.finished_at is None]}")
        self.the_rows_are_as_the_oracle_says()

    def _until_next_event_ms(self) -> int:
        """To the slot in which the oracle sees something to do, by way of the slot before, in which nothing may be due.

        All the slots in between would say the same as that one.
        """
        events = [row.wake_at for row in self.oracle.rows.values() if row.finished_at is None and row.wake_at]
        events += [one.seen_at + SILENT + 1 for one in self.oracle.workers.values() if one.silent and not one.gone]
        slots = max(1, -(-(min(events) - self.now) // SLOT_MS))
        return SLOT_MS * max(1, slots - 1)

    def _timelines_are_complete(self) -> None:
        with reading(self.engine) as connection:
            events = connection.execute(
                select(EventRow.message_id, EventRow.step, EventRow.state, EventRow.attempt).order_by(EventRow.id)
            ).all()
            sends = connection.execute(select(SendRow.message_id, SendRow.part).order_by(SendRow.id)).all()
        for row in self.oracle.rows.values():
            assert [tuple(event[1:]) for event in events if event[0] == row.id] == row.events
            assert [send.part for send in sends if send.message_id == row.id] == row.sends


@pytest.mark.timeout(3600 if PROFILE == "long" else 300)
def test_the_ledger_does_what_its_oracle_says(engine: Engine) -> None:
    class Here(Ledger):
        def __init__(self) -> None:
            super().__init__(engine)

    run_state_machine_as_test(
        Here,
        settings=settings(
            settings.get_profile(PROFILE), deadline=None, print_blob=True, suppress_health_check=list(HealthCheck)
        ),
    )
