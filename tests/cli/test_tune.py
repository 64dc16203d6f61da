"""`mindbot tune`: Little's law over what the ledger has measured."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import Engine, insert

from mindbot_tasks.cli.tune import LEAST_SLOTS, Advice, advise, needs
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores import pace
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import open_engine, reading, transaction
from mindbot_tasks.stores.pace import Pace
from mindbot_tasks.stores.tables import ConversationRow, EventRow, MessageRow

MEASURED = {
    Stage.CLASSIFY: Pace(100, 0.02, 0.0),
    Stage.GENERATE: Pace(100, 4.0, 0.1),
    Stage.REPLY: Pace(100, 0.5, 0.1),
}


def test_slots_are_rate_times_seconds_with_headroom() -> None:
    advice = advise(needs(10, MEASURED, {"classify": 16, "reply": 16, "generate": 50}))
    assert advice == [Advice("FAST_CONCURRENCY", 16, 7), Advice("GENERATE_CONCURRENCY", 50, 52)]


def test_twice_the_rate_needs_twice_the_slots() -> None:
    [_, once] = advise(needs(10, MEASURED, {}))
    [_, twice] = advise(needs(20, MEASURED, {}))
    assert (once.needed, twice.needed, once.current) == (52, 104, None)


def test_a_quiet_system_keeps_the_least_slots() -> None:
    assert {one.needed for one in advise(needs(0.001, MEASURED, {}))} == {LEAST_SLOTS}


def test_what_was_not_measured_is_assumed_and_says_so() -> None:
    found = {need.stage: need for need in needs(2, {}, {})}
    assert found["generate"].measured == 0
    assert found["generate"].busy == 10.0


@pytest.fixture
def engine(database_url: str) -> Engine:
    return open_engine(database_url)


def record(engine: Engine, *, at_ms: int, steps: dict[str, int]) -> None:
    """A message with its timeline; it came `at_ms` milliseconds before now."""
    with transaction(engine) as connection:
        conversation_id = connection.execute(
            insert(ConversationRow)
            .values(platform="chat", bot="default", external_id=uuid.uuid4().hex, kind="one_to_one", title="")
            .values(created_at=0)
            .returning(ConversationRow.id)
        ).scalar_one()
        message_id = connection.execute(
            insert(MessageRow)
            .values(conversation_id=conversation_id, platform="chat", bot="default", external_id=uuid.uuid4().hex)
            .values(conversation_ref="c", conversation_kind="one_to_one", sender_ref="u", text="", parts=[], address={})
            .values(state="replied", attempt=1, strikes=0, retries=0, deadline_at=0, sent_parts=1)
            .values(step="received", stepped_at=DB_NOW - at_ms, received_at=DB_NOW - at_ms)
            .returning(MessageRow.id)
        ).scalar_one()
        for step, took_ms in steps.items():
            row = {"message_id": message_id, "at": 0, "step": step, "state": "x", "attempt": 1, "took_ms": took_ms}
            connection.execute(insert(EventRow).values(**row))


def test_the_ledger_tells_how_long_each_stage_took_and_waited(engine: Engine) -> None:
    for took in (1000, 3000):
        record(engine, at_ms=5_000, steps={"generate:started": 200, "answered": took})
    record(engine, at_ms=7_200_000, steps={"answered": 99_000})  # before the window
    with reading(engine) as connection:
        assert pace.paces(connection, window_ms=3_600_000) == {Stage.GENERATE: Pace(2, 2.0, 0.2)}
        assert pace.arrivals(connection, window_ms=3_600_000) == (2, 3600.0)
    engine.dispose()


def test_a_young_system_is_measured_since_its_first_message(engine: Engine) -> None:
    record(engine, at_ms=10_000, steps={})
    with reading(engine) as connection:
        count, seconds = pace.arrivals(connection, window_ms=3_600_000)
    engine.dispose()
    assert count == 1
    assert 9 < seconds < 60


def test_an_empty_ledger_has_no_rate(engine: Engine) -> None:
    with reading(engine) as connection:
        assert pace.arrivals(connection, window_ms=60_000) == (0, 60.0)
        assert pace.paces(connection, window_ms=60_000) == {}
    engine.dispose()


def test_the_agent_has_workers_of_its_own() -> None:
    measured = {Stage.GENERATE: Pace(30, 4.0, 0.0), "agent": Pace(10, 20.0, 0.0)}
    found = needs(4.0, measured, {"generate": 50, "agent": 20})
    busy = {need.stage: need.busy for need in found}
    assert (busy["generate"], busy["agent"]) == (12.0, 20.0)
    assert [(one.variable, one.needed) for one in advise(found)][1:] == [
        ("GENERATE_CONCURRENCY", 16), ("AGENT_CONCURRENCY", 26),
    ]  # fmt: skip
