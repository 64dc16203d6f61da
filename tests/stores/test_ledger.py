"""Single promises of the ledger, each told as a short story."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part, Stage, State, Verdict
from mindbot_tasks.stores import health, inbox, retention, steps, suspects, sweeping, trace, workers
from mindbot_tasks.stores.claims import MAX_STRIKES
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.sweeping import Due, GiveUp, Start, Wait, decide
from mindbot_tasks.stores.tables import ConversationRow, MessageRow, UserRow
from tests.stores.words import ANSWER, GENERAL, LEASE_MS, claim, message, must_claim, record, worker

NOW = 1_700_000_000_000


@pytest.mark.parametrize("stage", [Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY])
def test_a_message_that_kills_its_worker_three_times_is_quarantined(engine: Engine, stage: Stage) -> None:
    now = NOW
    message_id = record(engine, now=now).message_id
    by = worker(engine, now=now)
    if stage is not Stage.CLASSIFY:
        held = must_claim(engine, message_id, Stage.CLASSIFY, by, now=now)
        with one_statement(engine) as connection:
            steps.save_classification(connection, held, GENERAL, now=now)
    if stage is Stage.REPLY:
        held = must_claim(engine, message_id, Stage.GENERATE, by, now=now)
        with transaction(engine) as connection:
            steps.save_answer(connection, held, ANSWER, now=now)
    for _ in range(MAX_STRIKES - 1):
        must_claim(engine, message_id, stage, by, now=now)
        now += 9_000
        with one_statement(engine) as connection:
            assert sweeping.bury_silent_workers(connection, now=now) == [message_id]
        by = worker(engine, now=now)
    held = must_claim(engine, message_id, stage, by, now=now, alone=True)
    with one_statement(engine) as connection:
        assert suspects.condemn(connection, message_id, held.attempt, worker_name="test", now=now)
    assert claim(engine, message_id, stage, by, now=now, alone=True) is None
    with one_statement(engine) as connection:
        (due,) = sweeping.find_due(connection, now=now)
        assert decide(due, through_ms={}) == GiveUp(Verdict.POISON)
        assert sweeping.apply(connection, due, decide(due, through_ms={}), now=now)
    held = must_claim(engine, message_id, Stage.APOLOGISE, by, now=now)
    assert held.verdict is Verdict.POISON
    # of an answer that may have gone out nobody knows; only then the apology stays away
    assert held.replying == (stage is Stage.REPLY)


def test_a_refused_reply_of_which_nothing_went_out_gets_an_apology(engine: Engine) -> None:
    by = worker(engine)
    message_id = record(engine).message_id
    held = must_claim(engine, message_id, Stage.CLASSIFY, by)
    with one_statement(engine) as connection:
        steps.save_classification(connection, held, GENERAL)
    held = must_claim(engine, message_id, Stage.GENERATE, by)
    with transaction(engine) as connection:
        steps.save_answer(connection, held, ANSWER)
    held = must_claim(engine, message_id, Stage.REPLY, by)
    with one_statement(engine) as connection:
        steps.give_up(connection, held, Verdict.FAILED, error="the platform refused the text")
    assert must_claim(engine, message_id, Stage.APOLOGISE, by).replying is False


def test_text_that_no_database_takes_is_kept_as_well_as_it_can_be(engine: Engine) -> None:
    odd = "a\x00b\ud800c"
    by = worker(engine)
    incoming = message(text=odd, sent_at_ms=10**30)
    message_id = record(engine, incoming).message_id
    held = must_claim(engine, message_id, Stage.CLASSIFY, by)
    assert held.text == "a\ufffdb?c"
    with one_statement(engine) as connection:
        steps.save_classification(connection, held, GENERAL)
    held = must_claim(engine, message_id, Stage.GENERATE, by)
    answer = Answer(odd, provider=odd, parts=(Part("text", odd, {"n": 10**30}),), details={"why": odd})
    with transaction(engine) as connection:
        steps.save_answer(connection, held, answer, sessions={"dify": odd})
    held = must_claim(engine, message_id, Stage.REPLY, by)
    with one_statement(engine) as connection:
        steps.defer(connection, held, delay_ms=0, error=odd)
    with reading(engine) as connection:
        found = trace.get_trace(connection, message_id)
    assert found is not None
    assert found.answer is not None
    assert found.answer["text"] == "a\ufffdb?c"


def test_who_is_not_meant_is_recorded_and_never_woken(engine: Engine) -> None:
    row = record(engine, message(addressed=False), now=NOW)
    assert row.ignored
    with reading(engine) as connection:
        assert sweeping.find_due(connection, now=NOW + 10**9) == []
    assert record(engine, now=NOW).first_in_line


def test_the_one_who_finishes_learns_where_the_next_goes_on(engine: Engine) -> None:
    by = worker(engine, now=NOW)
    first, second = record(engine, now=NOW).message_id, record(engine, now=NOW).message_id
    held = must_claim(engine, first, Stage.CLASSIFY, by, now=NOW)
    late = NOW + 590_000
    with one_statement(engine) as connection:
        for due in sweeping.find_due(connection, now=late):
            sweeping.apply(connection, due, decide(due, through_ms={}), now=late)
    held = must_claim(engine, first, Stage.APOLOGISE, by, now=late)
    with one_statement(engine) as connection:
        assert steps.finish(connection, held, State.APOLOGISED, now=late) == (second, Stage.APOLOGISE)


def test_health_tells_how_old_the_oldest_unstarted_message_is(engine: Engine) -> None:
    by = worker(engine)
    started = record(engine, message(conversation="c1")).message_id
    must_claim(engine, started, Stage.CLASSIFY, by)
    with reading(engine) as connection:
        assert health.snapshot(connection).oldest_unstarted_s is None
    record(engine, message(conversation="c1"))  # its turn has not come: nobody has forgotten it
    with reading(engine) as connection:
        assert health.snapshot(connection).oldest_unstarted_s is None
    record(engine, message(conversation="c2"))
    with one_statement(engine) as connection:
        assert workers.take_duty(connection, "sweep", every_ms=1)
        workers.note_canary(connection, "reply", 0)
        found = health.snapshot(connection)
    assert found.oldest_unstarted_s is not None
    assert 0 <= found.oldest_unstarted_s < 600
    assert found.unfinished == {"received": 3}
    assert found.workers == 1
    assert found.served == {"classify", "generate", "reply"}
    assert set(found.canary_age_s) == {"reply"}
    assert found.sweep_age_s is not None


def a_due(**other: Any) -> Due:
    values: dict[str, Any] = {
        "message_id": 1,
        "state": State.CLASSIFIED,
        "verdict": None,
        "attempt": 1,
        "strikes": 0,
        "leased": False,
        "first": True,
        "left_ms": 500_000,
        "delay_ms": 0,
        "step": "classified",
        "idle_ms": 10_000,
        "wake_at": 0,
    }
    return Due(**(values | other))


@pytest.mark.parametrize(
    ("due", "decision"),
    [
        pytest.param(a_due(), Wait(5_000), id="its task waits in a long queue"),
        pytest.param(a_due(idle_ms=120_000), Start(Stage.GENERATE, 5_000), id="so long that it must be lost"),
        pytest.param(a_due(step="generate:retry"), Start(Stage.GENERATE, 5_000), id="a retry that nobody published"),
        pytest.param(a_due(step="worker lost", strikes=1), Start(Stage.GENERATE, 5_000), id="its worker died"),
        pytest.param(a_due(step="restarted: generate", strikes=1), Wait(5_000), id="its restart waits in the queue"),
        pytest.param(a_due(step="generate:retry", left_ms=31_000), Start(Stage.GENERATE, 1_000), id="little time left"),
        pytest.param(a_due(left_ms=30_000), GiveUp(Verdict.LATE), id="too late to answer, in time to apologise"),
        pytest.param(a_due(leased=True, left_ms=30_000), GiveUp(Verdict.LATE), id="too late, whoever works on it"),
        pytest.param(a_due(first=False), Wait(10_000), id="not its turn"),
        pytest.param(a_due(strikes=3), GiveUp(Verdict.POISON), id="three workers down"),
        pytest.param(
            a_due(state=State.REPLYING, step="reply:retry", left_ms=30_000, delay_ms=20_000),
            Wait(20_000),
            id="the platform asked to wait, and that holds near the deadline as well",
        ),
        pytest.param(
            a_due(verdict=Verdict.LATE, step="apologise:retry", left_ms=-5_000, delay_ms=20_000),
            Wait(20_000),
            id="an apology keeps its pauses after the deadline",
        ),
    ],
)
def test_what_the_sweeper_does_while_the_queue_is_long(due: Due, decision: object) -> None:
    assert decide(due, through_ms={"generate": 60_000}) == decision


@pytest.mark.parametrize(
    ("due", "decision"),
    [
        pytest.param(a_due(), Start(Stage.GENERATE, 5_000), id="put in before the canary: lost"),
        pytest.param(a_due(step="restarted: generate"), Start(Stage.GENERATE, 5_000), id="the restart got lost, too"),
        pytest.param(a_due(idle_ms=4_900), Wait(5_000), id="put in at the same time as the canary, or nearly"),
        pytest.param(
            a_due(verdict=Verdict.LATE, step="restarted: apologise"),
            Start(Stage.APOLOGISE, 5_000),
            id="an apology waits in the queue of the replies",
        ),
    ],
)
def test_what_the_sweeper_does_when_a_canary_came_through(due: Due, decision: object) -> None:
    assert decide(due, through_ms={"generate": 4_000, "reply": 4_000}) == decision


@pytest.mark.parametrize(
    "due", [a_due(state=State.ANSWERED, step="answered"), a_due(verdict=Verdict.LATE, step="restarted: apologise")]
)
def test_the_sweeper_looks_at_the_queue_where_the_reply_waits(due: Due) -> None:
    through = {"reply": 4_000, "aim.default": 60_000}
    assert isinstance(decide(due, through_ms=through), Start)
    assert decide(due, through_ms=through, reply_queue="aim.default") == Wait(5_000)


@pytest.mark.parametrize(
    ("due", "decision"),
    [
        pytest.param(a_due(step="worker lost", strikes=1), Wait(5_000), id="nothing can be started"),
        pytest.param(a_due(verdict=Verdict.LATE), Wait(5_000), id="not even an apology"),
        pytest.param(a_due(left_ms=0), GiveUp(Verdict.LATE), id="too late is too late"),
        pytest.param(a_due(strikes=3), GiveUp(Verdict.POISON), id="poison is poison"),
    ],
)
def test_what_the_sweeper_does_while_the_broker_is_away(due: Due, decision: object) -> None:
    assert decide(due, through_ms=None) == decision


def test_postponing_leaves_alone_what_has_moved_on(engine: Engine) -> None:
    waiting, claimed = (record(engine, message(conversation=name), now=0).message_id for name in ("w", "c"))
    must_claim(engine, claimed, Stage.CLASSIFY, worker(engine, now=20_000), now=20_000)
    with one_statement(engine) as connection:
        sweeping.postpone(connection, [waiting, claimed], 7_000, now=20_000)
    with reading(engine) as connection:
        wake_at = {row.id: row.wake_at for row in connection.execute(select(MessageRow.id, MessageRow.wake_at))}
    assert wake_at == {waiting: 27_000, claimed: 20_000 + LEASE_MS}


def test_a_message_for_a_conversation_that_is_just_being_purged_is_not_lost(engine: Engine) -> None:
    """Whichever of the two comes first, in databases where they can meet and in one where they wait for each other."""
    record(engine, message(conversation="silent"), now=0)
    with transaction(engine) as connection:
        connection.exec_driver_sql("DELETE FROM messages")
        connection.execute(update(ConversationRow).values(created_at=0))
    come = ThreadPoolExecutor(1)
    with come, transaction(engine) as connection:
        assert retention.delete_silent_conversations(connection, older_than_ms=1, limit=9) == 1
        late = come.submit(record, engine, message(conversation="silent"))
    assert late.result().fresh
    with transaction(engine) as connection:
        connection.execute(update(ConversationRow).values(created_at=0))
        assert retention.delete_silent_conversations(connection, older_than_ms=1, limit=9) == 0
        assert connection.execute(select(MessageRow.conversation_ref)).scalars().all() == ["silent"]


def test_a_conversation_into_which_somebody_is_writing_is_left_alone(engine: Engine) -> None:
    record(engine, message(conversation="silent"), now=0)
    with transaction(engine) as connection:
        connection.exec_driver_sql("DELETE FROM messages")
        connection.execute(update(ConversationRow).values(created_at=0))
    if engine.dialect.name != "postgresql":
        return  # one writes at a time
    with transaction(engine) as writing, transaction(engine) as purging:
        inbox.record_once(writing, message(conversation="silent"), deadline_ms=1000)
        assert retention.delete_silent_conversations(purging, older_than_ms=1, limit=9) == 0


def test_people_are_seen_again_every_day(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    record(engine, message(conversation="c"), now=1)
    record(engine, message(conversation="c"), now=2)
    tomorrow = time.monotonic() + 90_000
    monkeypatch.setattr(time, "monotonic", lambda: tomorrow)
    record(engine, message(conversation="c"), now=3)
    with reading(engine) as connection:
        assert connection.execute(select(UserRow.seen_at)).scalars().all() == [3]


def test_a_purged_conversation_is_made_again(engine: Engine) -> None:
    record(engine, message(conversation="gone"))
    with transaction(engine) as connection:
        connection.exec_driver_sql("DELETE FROM messages")
        connection.exec_driver_sql("DELETE FROM conversations")
    row = record(engine, message(conversation="gone"))
    assert row.fresh
    with reading(engine) as connection:
        assert connection.execute(select(MessageRow.conversation_ref)).scalar() == "gone"
        assert inbox.is_first_in_line(connection, row.message_id)
