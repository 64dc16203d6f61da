"""The order to write a summary: taken by one writer, followed by another one after a kill, and never written twice."""

from __future__ import annotations

from sqlalchemy import Engine, select

from mindbot_tasks.model.answer import Usage
from mindbot_tasks.stores import conversations, summaries
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.tables_context import SummaryRow
from tests.stores.words import record

LEASE_MS = 90_000


def order(engine: Engine, wanted_id: int, *, begins_after: int = 0) -> None:
    with one_statement(engine) as connection:
        summaries.want(connection, 1, wanted_id, begins_after=begins_after, now=1_000)


def take(engine: Engine, now: int) -> summaries.Task | None:
    with one_statement(engine) as connection:
        return summaries.take(connection, lease_ms=LEASE_MS, now=now)


def save(engine: Engine, task: summaries.Task, text: str, until_id: int) -> bool:
    with one_statement(engine) as connection:
        return summaries.save(connection, task, text, until_id=until_id, usage=Usage(10, 5))


def kept(engine: Engine) -> tuple[object, ...]:
    with reading(engine) as connection:
        columns = (SummaryRow.text, SummaryRow.until_id, SummaryRow.due_at.is_(None), SummaryRow.input_tokens)
        return tuple(connection.execute(select(*columns)).one())


def test_one_writer_has_it_until_his_lease_is_over(engine: Engine) -> None:
    record(engine)
    order(engine, 5)
    first = take(engine, 2_000)
    assert first is not None
    assert take(engine, 2_000 + LEASE_MS - 1) is None
    second = take(engine, 2_000 + LEASE_MS)  # the first one was killed, or so it seems
    assert second is not None
    assert save(engine, second, "second", 5)
    assert not save(engine, first, "first, too late", 5)
    assert kept(engine)[:3] == ("second", 5, True)
    assert take(engine, 9_999_999) is None


def test_what_was_wanted_meanwhile_is_due_again(engine: Engine) -> None:
    record(engine)
    order(engine, 5)
    task = take(engine, 2_000)
    assert task is not None
    order(engine, 9)
    assert save(engine, task, "up to 5", 5)
    assert kept(engine)[:3] == ("up to 5", 5, False)
    task = take(engine, 2**50)
    assert task is not None
    assert (task.before, task.until_id, task.wanted_id) == ("up to 5", 5, 9)
    assert save(engine, task, "up to 9", 9)
    assert kept(engine) == ("up to 9", 9, True, 20)


def test_a_new_beginning_drops_what_was_summed_up_and_what_is_being_written(engine: Engine) -> None:
    record(engine)
    order(engine, 5)
    task = take(engine, 2_000)
    assert task is not None
    order(engine, 9, begins_after=7)  # after a long silence
    assert not save(engine, task, "over", 5)
    assert kept(engine)[:3] == ("", 7, False)
    task = take(engine, 2**50)
    assert task is not None
    with transaction(engine) as connection:
        conversations.begin_anew(connection, 1, 10)
    assert not save(engine, task, "forgotten", 9)


def test_after_many_failures_nobody_tries_until_it_is_wanted_again(engine: Engine) -> None:
    record(engine)
    order(engine, 5)
    for _ in range(summaries.MOST_FAILURES):
        task = take(engine, 2**50)
        assert task is not None
        with one_statement(engine) as connection:
            assert summaries.failed(connection, task, "down")
    assert take(engine, 2**50) is None
    order(engine, 6)
    assert take(engine, 2**50) is not None
