"""Messages at the side of one that kills its workers: what they lose, and what they do not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import Engine, select

from mindbot_tasks.model.message import Stage, State, Verdict
from mindbot_tasks.stores import steps, suspects, sweeping, workers
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.suspects import DIED_ALONE, MOST_DEATHS, WITNESS_MS, WORKER_LOST
from mindbot_tasks.stores.sweeping import Due, GiveUp, Start, decide
from mindbot_tasks.stores.tables import MessageRow
from tests.stores.words import ANSWER, GENERAL, claim, message, must_claim, record, worker

NOW = 1_700_000_000_000
ALL_THROUGH = {"classify": 0, "generate": 0, "reply": 0}


def classified(engine: Engine, count: int) -> list[int]:
    """Messages of as many conversations, whose answers are to be made."""
    by = worker(engine, now=NOW)
    ids = [record(engine, message(conversation=f"c{number}"), now=NOW).message_id for number in range(count)]
    for message_id in ids:
        held = must_claim(engine, message_id, Stage.CLASSIFY, by, now=NOW)
        with one_statement(engine) as connection:
            steps.save_classification(connection, held, GENERAL, now=NOW)
    return ids


def die_together(engine: Engine, ids: Sequence[int], *, times: int = 2, stage: Stage = Stage.GENERATE) -> None:
    """All of these in the hands of one worker, which dies."""
    for _ in range(times):
        by = worker(engine, now=NOW)
        for message_id in ids:
            must_claim(engine, message_id, stage, by, now=NOW)
        die(engine, by)


def die(engine: Engine, by: int) -> None:
    with one_statement(engine) as connection:
        sweeping.bury(connection, [by], now=NOW)


def look(engine: Engine, message_id: int, now: int = NOW) -> Due:
    with reading(engine) as connection:
        return {due.message_id: due for due in sweeping.find_due(connection, now=now)}[message_id]


def last_error(engine: Engine, message_id: int) -> str | None:
    with reading(engine) as connection:
        return connection.execute(select(MessageRow.last_error).where(MessageRow.id == message_id)).scalar()


def test_only_the_one_that_killed_its_own_process_is_condemned(engine: Engine) -> None:
    killer, *others = ids = classified(engine, 6)
    die_together(engine, ids)
    shared = worker(engine, now=NOW)
    for message_id in ids:
        due = look(engine, message_id)
        assert due.suspect
        assert decide(due, through_ms=ALL_THROUGH) == Start(Stage.GENERATE, look_again_ms=5_000, alone=True)
        assert claim(engine, message_id, Stage.GENERATE, shared, now=NOW) is None
    held = {one: must_claim(engine, one, Stage.GENERATE, worker(engine, now=NOW), now=NOW, alone=True) for one in ids}
    with one_statement(engine) as connection:
        assert not suspects.condemn(connection, killer, held[killer].attempt, worker_name="beside it", now=NOW)
        assert suspects.condemn(connection, killer, held[killer].attempt, worker_name="test", now=NOW)
    assert last_error(engine, killer) == DIED_ALONE
    assert decide(look(engine, killer), through_ms=ALL_THROUGH) == GiveUp(Verdict.POISON)
    for message_id in others:
        with transaction(engine) as connection:
            steps.save_answer(connection, held[message_id], ANSWER, now=NOW)
        # who has come so far is no suspect any more
        reply = must_claim(engine, message_id, Stage.REPLY, shared, now=NOW)
        with one_statement(engine) as connection:
            steps.finish(connection, reply, State.REPLIED, sent_parts=1, now=NOW)


def test_a_death_that_nobody_tells_of_condemns_nobody_before_there_are_many(engine: Engine) -> None:
    (one,) = classified(engine, 1)
    die_together(engine, [one])
    for deaths in range(3, MOST_DEATHS + 1):
        by = worker(engine, now=NOW)
        must_claim(engine, one, Stage.GENERATE, by, now=NOW, alone=True)
        die(engine, by)
        with reading(engine) as connection:  # whoever saw it has the time to say so
            assert sweeping.find_due(connection, now=NOW) == []
        due = look(engine, one, NOW + WITNESS_MS)
        assert due.strikes == deaths
    assert decide(due, through_ms=ALL_THROUGH) == GiveUp(Verdict.POISON)


def test_who_tells_too_late_condemns_no_later_try(engine: Engine) -> None:
    (one,) = classified(engine, 1)
    die_together(engine, [one])
    by = worker(engine, now=NOW)
    held = must_claim(engine, one, Stage.GENERATE, by, now=NOW, alone=True)
    die(engine, by)
    again = must_claim(engine, one, Stage.GENERATE, worker(engine, now=NOW), now=NOW, alone=True)
    with one_statement(engine) as connection:
        assert not suspects.condemn(connection, one, held.attempt, worker_name="test", now=NOW)
    with transaction(engine) as connection:
        steps.save_answer(connection, again, ANSWER, now=NOW)
    with one_statement(engine) as connection:
        assert not suspects.condemn(connection, one, again.attempt, worker_name="test", now=NOW)


@pytest.mark.parametrize("keep_strikes", [True, False], ids=["error", "limit"])
def test_what_ends_in_order_without_an_answer_stays_under_suspicion(engine: Engine, keep_strikes: bool) -> None:
    (one,) = classified(engine, 1)
    die_together(engine, [one], times=1 if keep_strikes else 2)
    by = worker(engine, now=NOW)
    held = must_claim(engine, one, Stage.GENERATE, by, now=NOW, alone=not keep_strikes)
    with one_statement(engine) as connection:
        steps.defer(connection, held, delay_ms=0, error="no", keep_strikes=keep_strikes, now=NOW)
    assert look(engine, one).suspect
    assert last_error(engine, one) == WORKER_LOST
    assert claim(engine, one, Stage.GENERATE, by, now=NOW) is None


def _fail(engine: Engine, held: Claim) -> None:
    with one_statement(engine) as connection:
        steps.defer(connection, held, delay_ms=0, error="ValueError", retried=False, keep_strikes=True, now=NOW)


def test_errors_alone_raise_no_suspicion_but_a_death_after_them_does(engine: Engine) -> None:
    (one,) = classified(engine, 1)
    by = worker(engine, now=NOW)
    for _ in range(2):
        _fail(engine, must_claim(engine, one, Stage.GENERATE, by, now=NOW))
    assert not look(engine, one).suspect
    must_claim(engine, one, Stage.GENERATE, by, now=NOW)
    die(engine, by)
    due = look(engine, one)
    assert due.strikes == 3
    assert decide(due, through_ms=ALL_THROUGH) == Start(Stage.GENERATE, look_again_ms=5_000, alone=True)
    assert claim(engine, one, Stage.GENERATE, worker(engine, now=NOW), now=NOW, alone=True) is not None


def test_what_one_process_alone_can_send_is_tried_there_three_times(engine: Engine) -> None:
    (one,) = classified(engine, 1)
    by = worker(engine, now=NOW)
    held = must_claim(engine, one, Stage.GENERATE, by, now=NOW)
    with transaction(engine) as connection:
        steps.save_answer(connection, held, ANSWER, now=NOW)
    for _ in range(2):
        must_claim(engine, one, Stage.REPLY, by, now=NOW)
        die(engine, by)
        by = worker(engine, now=NOW)
    due = look(engine, one)
    through = {**ALL_THROUGH, "aim.default": 0}
    assert decide(due, through_ms=through, reply_queue="aim.default") == Start(Stage.REPLY, look_again_ms=5_000)
    assert claim(engine, one, Stage.REPLY, by, now=NOW, only_here=True) is not None
    die(engine, by)
    due = look(engine, one, NOW + WITNESS_MS)
    assert decide(due, through_ms=through, reply_queue="aim.default") == GiveUp(Verdict.POISON)


def test_a_worker_that_left_without_its_work_leaves_suspects_behind(engine: Engine) -> None:
    (one,) = classified(engine, 1)
    for _ in range(2):
        by = worker(engine, now=NOW)
        must_claim(engine, one, Stage.GENERATE, by, now=NOW)
        with one_statement(engine) as connection:
            assert workers.leave(connection, by, now=NOW) == [one]
    assert look(engine, one).suspect
    with reading(engine) as connection:
        assert suspects.last_attempt(connection, one, now=NOW) == 3


def test_a_lost_apology_keeps_the_reason_for_it(engine: Engine) -> None:
    (one,) = classified(engine, 1)
    by = worker(engine, now=NOW)
    held = must_claim(engine, one, Stage.GENERATE, by, now=NOW)
    with one_statement(engine) as connection:
        steps.give_up(connection, held, Verdict.FAILED, error="the key is refused", now=NOW)
    die_together(engine, [one], stage=Stage.APOLOGISE)
    assert last_error(engine, one) == "the key is refused"
    assert claim(engine, one, Stage.APOLOGISE, worker(engine, now=NOW), now=NOW) is not None
