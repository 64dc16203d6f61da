"""What calls cost: added up with the answer or by themselves, and never twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, select

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings.known_models import Price
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores import spending, steps, usage
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.spending import Call, Whose
from mindbot_tasks.stores.steps import LostLease
from mindbot_tasks.stores.tables_spending import SpendingRow
from tests.stores.words import ANSWER, GENERAL, must_claim, record, worker

SOMEBODY = Whose("chat", "default", "u1")
PRICE = Price(input=2.0, output=8.0)


@pytest.fixture(autouse=True)
def book(engine: Engine, one_day: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(spending, "_book", spending.Book())
    monkeypatch.setattr(spending, "transaction", lambda: transaction(engine))
    yield
    spending._desk.set(None)


def rows(engine: Engine) -> list[Any]:
    with reading(engine) as connection:
        return list(connection.execute(select(SpendingRow.__table__).order_by(SpendingRow.model, SpendingRow.purpose)))


def ready_to_generate(engine: Engine) -> Any:
    by, message_id = worker(engine), record(engine).message_id
    held = must_claim(engine, message_id, Stage.CLASSIFY, by)
    with one_statement(engine) as connection:
        steps.save_classification(connection, held, GENERAL)
    return must_claim(engine, message_id, Stage.GENERATE, by)


def call(model: str = "m", **fields: Any) -> Call:
    return Call(**({"provider": "p", "model": model, "input_tokens": 10, "output_tokens": 5, "price": PRICE} | fields))


def save(engine: Engine, held: Any, error: Exception | None = None) -> None:
    with transaction(engine) as connection:
        steps.save_answer(connection, held, ANSWER)
        if error is not None:
            raise error


def test_calls_of_an_answer_are_saved_with_it(engine: Engine) -> None:
    held = ready_to_generate(engine)
    spending.begin(SOMEBODY)
    spending.note(call(ok=False, input_tokens=0, output_tokens=0, took_ms=100))
    spending.note(call(took_ms=900))
    spending.note(call("m\x00", purpose="agent"))
    save(engine, held)
    spending.end()
    spending.flush()  # there is nothing left
    one, other = rows(engine)
    assert (one.platform, one.bot, one.user_ref, one.provider, one.purpose) == ("chat", "default", "u1", "p", "answer")
    assert (one.calls, one.failures, one.input_tokens, one.output_tokens, one.took_ms) == (2, 1, 10, 5, 1000)
    assert (one.cost_nano, one.unpriced) == (60_000, 0)
    assert (other.model, other.purpose, other.calls) == ("m\ufffd", "agent", 1)
    assert one.day == spending.today()


def test_a_second_answer_to_the_same_message_is_paid_as_well(engine: Engine) -> None:
    held = ready_to_generate(engine)
    for _ in range(2):
        spending.begin(SOMEBODY)
        spending.note(call())
        with transaction(engine) as connection:
            connection.exec_driver_sql("UPDATE messages SET state = 'classified', lease_owner = 1")
            steps.save_answer(connection, held, ANSWER)
        spending.end()
    assert [row.calls for row in rows(engine)] == [2]


def test_an_answer_that_could_not_be_saved_was_paid_all_the_same(engine: Engine) -> None:
    held = ready_to_generate(engine)
    spending.begin(SOMEBODY)
    spending.note(call())
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE messages SET attempt = attempt + 1")
    with pytest.raises(LostLease):
        save(engine, held)
    spending.end()
    spending.flush()
    assert [row.calls for row in rows(engine)] == [1]


def test_nor_is_it_free_when_the_commit_fails(engine: Engine) -> None:
    held = ready_to_generate(engine)
    spending.begin(SOMEBODY)
    spending.note(call())
    with pytest.raises(DatabaseUnavailable):
        save(engine, held, DatabaseUnavailable("at the commit"))
    assert rows(engine) == []
    spending.end(lost=True)
    spending.flush()
    assert [row.calls for row in rows(engine)] == [1]


def test_an_answer_of_the_agent_is_an_answer_and_no_call_beside_its_own(engine: Engine) -> None:
    spending.note(call(workflow="agent", purpose="agent", took_ms=30), whose=SOMEBODY)
    spending.note(call(workflow="agent", purpose="agent", took_ms=50), whose=SOMEBODY)
    whole = call(workflow="agent", purpose=spending.AGENT_ANSWER, input_tokens=0, output_tokens=0, took_ms=900)
    spending.note(whole, whose=SOMEBODY)
    spending.flush()
    with reading(engine) as connection:
        [one] = usage.used(connection, ("provider",), whose=SOMEBODY)
    assert (one.answers, one.calls, one.failures, one.input_tokens, one.mean_ms) == (1, 2, 0, 20, 40)


def test_calls_without_a_message_are_carried_by_themselves(engine: Engine) -> None:
    spending.note(call(purpose="embedding"))
    spending.note(call(purpose="embedding"), whose=SOMEBODY)
    spending.note(call(purpose="embedding"), whose=SOMEBODY)
    spending.flush()
    spending.flush()
    assert sorted((row.user_ref, row.calls) for row in rows(engine)) == [("", 1), ("u1", 2)]


def test_while_the_database_is_away_nothing_is_forgotten(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> Any:
        raise DatabaseUnavailable("away")

    spending.note(call())
    with monkeypatch.context() as patched:
        patched.setattr(spending, "transaction", away)
        spending.flush()
    spending.note(call())
    spending.flush()
    assert [row.calls for row in rows(engine)] == [2]


def test_a_caller_may_write_in_a_transaction_of_its_own(engine: Engine) -> None:
    def write(*calls: Call, error: Exception | None = None) -> None:
        with transaction(engine) as connection:
            spending.write(connection, calls, SOMEBODY)
            if error is not None:
                raise error

    write(call(), call(), call("n"))
    with pytest.raises(ZeroDivisionError):
        write(call(), error=ZeroDivisionError())
    assert [(row.model, row.calls, row.cost_nano) for row in rows(engine)] == [("m", 2, 120_000), ("n", 1, 60_000)]


def test_tokens_without_a_price_are_told(engine: Engine) -> None:
    spending.note(call(price=None))
    spending.note(call(price=None, input_tokens=0, output_tokens=0, ok=False))
    spending.note(call(price=None, cost_nano=7))
    spending.note(call(price=Price(0, 0)))
    spending.flush()
    assert [(row.calls, row.unpriced, row.cost_nano) for row in rows(engine)] == [(4, 1, 7)]


def test_threads_lose_nothing(engine: Engine) -> None:
    def work(number: int) -> None:
        for step in range(20):
            spending.note(call(f"m{(number + step) % 3}"), whose=SOMEBODY)
            if step % 5 == 0:
                spending.flush()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spending.flush()
    assert sum(row.calls for row in rows(engine)) == 120


def test_the_day_begins_where_the_configuration_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from mindbot_tasks.core.settings import BudgetsSettings, Settings

    for zone, day in (("UTC", "2026-11-20"), ("Asia/Shanghai", "2026-11-21")):
        told = Settings(budgets=BudgetsSettings(timezone=zone))
        monkeypatch.setattr(spending, "get_settings", lambda told=told: told)
        assert spending.today(1_795_219_200 - 3600) == day
