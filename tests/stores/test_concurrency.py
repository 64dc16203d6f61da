"""Many at once: threads on one database, where the single-threaded state machine cannot look."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest
from sqlalchemy import Engine, func, select

from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.stores import claims, inbox, steps, sweeping, workers
from mindbot_tasks.stores.claims import Claim, Following
from mindbot_tasks.stores.database import one_statement, open_engine, reading, transaction
from mindbot_tasks.stores.sweeping import Start
from mindbot_tasks.stores.tables import EventRow, MessageRow
from tests.conftest import PATIENCE_S
from tests.stores.words import ANSWER, GENERAL, claim, message, must_claim, record, worker

T = TypeVar("T")


def at_once(*calls: Callable[[], T]) -> list[T]:
    """All calls in threads of their own, released together; what they return, in their order."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        gate.wait(PATIENCE_S)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def to_reply(engine: Engine, message_id: int, by: int) -> Claim:
    """Bring a message to where its answer is being sent."""
    held = must_claim(engine, message_id, Stage.CLASSIFY, by)
    with one_statement(engine) as connection:
        steps.save_classification(connection, held, GENERAL)
    held = must_claim(engine, message_id, Stage.GENERATE, by)
    with transaction(engine) as connection:
        steps.save_answer(connection, held, ANSWER)
    return must_claim(engine, message_id, Stage.REPLY, by)


def test_one_message_that_arrives_fifty_times_at_once_is_one_row(engine: Engine) -> None:
    incoming = message("same")
    recorded = at_once(*[lambda: record(engine, incoming)] * 50)
    assert len({row.message_id for row in recorded}) == 1
    assert [row.fresh for row in recorded].count(True) == 1
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).select_from(MessageRow)).scalar() == 1


def test_messages_of_one_conversation_get_rising_ids_in_the_order_they_become_visible(engine: Engine) -> None:
    record(engine, message("first"))
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            with reading(engine) as connection:
                newest = connection.execute(select(MessageRow.id).order_by(MessageRow.id)).scalars().all()
            seen.extend(sorted(set(newest) - set(seen)))
            assert seen == sorted(seen), "a message appeared before one that is already there"

    def send() -> None:
        for _ in range(25):
            record(engine)

    watcher = threading.Thread(target=watch)
    watcher.start()
    at_once(*[send] * 6)
    done.set()
    watcher.join()
    assert seen == sorted(seen)


def test_of_many_claims_of_one_message_one_wins(engine: Engine) -> None:
    by = [worker(engine) for _ in range(4)]
    for _ in range(200):
        message_id = record(engine).message_id
        tries = at_once(*[lambda m=message_id, w=w: claim(engine, m, Stage.CLASSIFY, w) for w in by])
        won = [held for held in tries if held is not None]
        assert len(won) == 1
        with one_statement(engine) as connection:
            steps.finish(connection, won[0], State.REPLIED)


def test_two_sweepers_at_once_restart_each_message_once(engine: Engine) -> None:
    now = 2_000_000_000_000
    ids = {record(engine, message(conversation=f"c{number}"), now=now).message_id for number in range(40)}

    def sweep() -> list[int]:
        started = []
        with reading(engine) as connection:
            found = sweeping.find_due(connection, now=now + 20_000)
        for due in found:
            decision = sweeping.decide(due, through_ms={"classify": 0})
            with one_statement(engine) as connection:
                if sweeping.apply(connection, due, decision, now=now + 20_000):
                    assert isinstance(decision, Start)
                    started.append(due.message_id)
        return started

    first, second = at_once(sweep, sweep)
    assert sorted(first + second) == sorted(ids)
    with reading(engine) as connection:
        restarts = select(func.count()).select_from(EventRow).where(EventRow.step == "restarted: classify")
        assert connection.execute(restarts).scalar() == 40


def test_a_duty_is_taken_once_in_its_slot(engine: Engine) -> None:
    def take(slot: int) -> bool:
        with one_statement(engine) as connection:
            return workers.take_duty(connection, "sweep", every_ms=4_500, now=slot * 5_000)

    for slot in range(1, 40):
        assert at_once(*[lambda slot=slot: take(slot)] * 4).count(True) == 1


def test_a_message_that_arrives_while_the_one_before_it_ends_is_started_by_somebody(engine: Engine) -> None:
    """Either the finisher is told of its follower, or the intake sees that nothing is before it; never neither."""
    by = worker(engine)

    def arrive(conversation: str) -> int | None:
        with one_statement(engine) as connection:
            row = inbox.record_once(connection, message(conversation=conversation), deadline_ms=600_000)
            if row.first_in_line or inbox.is_first_in_line(connection, row.message_id):
                return row.message_id
        return None

    def end(held: Claim) -> int | None:
        with one_statement(engine) as connection:
            following = steps.finish(connection, held, State.REPLIED, sent_parts=1)
        return following.message_id if following else None

    for number in range(100):
        conversation = f"c{number}"
        held = to_reply(engine, record(engine, message(conversation=conversation)).message_id, by)
        started = set(at_once(partial(end, held), partial(arrive, conversation)))
        with reading(engine) as connection:
            waiting = connection.execute(select(MessageRow.id).where(MessageRow.finished_at.is_(None))).scalars().all()
        assert len(waiting) == 1
        assert waiting[0] in started, "nobody started it; it would have waited for the sweeper"
        held = must_claim(engine, waiting[0], Stage.CLASSIFY, by)
        with one_statement(engine) as connection:
            steps.finish(connection, held, State.REPLIED)


@pytest.mark.postgres
def test_a_finisher_sees_who_was_recorded_after_its_statement_had_begun(postgresql_url: str) -> None:
    """The narrow case of the race above, held still: the finisher waits for a lock while its follower is recorded."""
    inbox.forget_known()
    engine = open_engine(postgresql_url, statement_timeout_s=PATIENCE_S)
    try:
        by = worker(engine)
        head = record(engine)
        held = to_reply(engine, head.message_id, by)
        ended: list[Following | None] = []

        def end() -> None:
            with one_statement(engine) as connection:
                ended.append(steps.finish(connection, held, State.REPLIED, sent_parts=1))

        with engine.begin() as holder:
            holder.execute(select(MessageRow.id).where(MessageRow.id == head.message_id).with_for_update())
            finisher = threading.Thread(target=end)
            finisher.start()
            wait_until_blocked(engine)
            follower = record(engine)
        finisher.join(PATIENCE_S)
        assert ended == [Following(follower.message_id, Stage.CLASSIFY)]
    finally:
        engine.dispose()


def wait_until_blocked(engine: Engine) -> None:
    """Until some statement in this database waits for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ends_by = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_by:
        with reading(engine) as connection:
            if connection.exec_driver_sql(waiting).scalar():
                return
        time.sleep(0.01)
    pytest.fail("nobody waits")


def test_a_whole_conversation_under_fire_is_answered_in_order_and_once(engine: Engine) -> None:
    """Intake and workers at once on one conversation; each worker takes whatever it sees."""
    by = [worker(engine) for _ in range(3)]
    ends: list[int] = []
    ends_by = time.monotonic() + PATIENCE_S

    def send() -> None:
        for _ in range(10):
            record(engine)

    def work(me: int) -> None:
        while len(ends) < 20 and time.monotonic() < ends_by:
            with reading(engine) as connection:
                head = connection.execute(
                    select(MessageRow.id, MessageRow.state)
                    .where(MessageRow.finished_at.is_(None))
                    .order_by(MessageRow.id)
                    .limit(1)
                ).first()
            held = claim(engine, head.id, claims.next_stage(State(head.state), None), me) if head else None
            if held is None:
                time.sleep(0.001)
            elif held.stage is Stage.CLASSIFY:
                with one_statement(engine) as connection:
                    steps.save_classification(connection, held, GENERAL)
            elif held.stage is Stage.GENERATE:
                with transaction(engine) as connection:
                    steps.save_answer(connection, held, ANSWER)
            else:
                ends.append(held.message_id)
                with one_statement(engine) as connection:
                    steps.finish(connection, held, State.REPLIED, sent_parts=1)

    at_once(send, send, *[lambda me=me: work(me) for me in by])
    assert len(ends) == 20
    assert ends == sorted(ends)
