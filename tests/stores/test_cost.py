"""What one message costs the database: how many statements, and that none of them reads more as the ledger grows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from benchmarks.ledger_growth import fill
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.stores import claims, health, inbox, retention, steps, sweeping, workers
from mindbot_tasks.stores.database import one_statement, reading
from tests.stores.words import ANSWER, GENERAL, message, record, to_reply, worker


@contextmanager
def statements(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database inside the block."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def answer_one(engine: Engine, by: int) -> None:
    """One message from the door to the reply."""
    message_id = record(engine).message_id
    held = to_reply(engine, message_id, by)
    with one_statement(engine) as connection:
        steps.finish(connection, held, State.REPLIED, sent_parts=1, sent_id="x")


def test_a_message_of_a_known_conversation_costs_eight_statements(engine: Engine) -> None:
    by = worker(engine)
    answer_one(engine, by)
    with statements(engine) as seen:
        answer_one(engine, by)
    sent = [statement for statement, _ in seen if not statement.startswith("BEGIN")]
    assert len(sent) <= 8, "\n".join(sent)


def intake(connection: Connection) -> None:
    assert inbox.record_once(connection, message(), deadline_ms=600_000).fresh


def intake_behind_another(connection: Connection) -> None:
    first = inbox.record_once(connection, message(), deadline_ms=600_000)
    inbox.is_first_in_line(connection, first.message_id)


def duplicate(connection: Connection) -> None:
    incoming = message("twice")
    inbox.record_once(connection, incoming, deadline_ms=600_000)
    assert not inbox.record_once(connection, incoming, deadline_ms=600_000).fresh


def through_all_stages(connection: Connection) -> None:
    by = workers.register(connection, "test", [])
    row = inbox.record_once(connection, message(conversation="alone"), deadline_ms=600_000)
    for stage in (Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY):
        held = claims.claim(connection, row.message_id, stage, worker=by, lease_ms=1_000)
        assert held is not None
        if stage is Stage.CLASSIFY:
            steps.save_classification(connection, held, GENERAL)
        elif stage is Stage.GENERATE:
            steps.save_answer(connection, held, ANSWER)
        else:
            steps.finish(connection, held, State.REPLIED, sent_parts=1)


def history(connection: Connection) -> None:
    by = workers.register(connection, "test", [])
    row = inbox.record_once(connection, message(conversation="c-10"), deadline_ms=600_000)
    held = claims.claim(connection, row.message_id, Stage.CLASSIFY, worker=by, lease_ms=1_000)
    assert held is not None
    steps.save_classification(connection, held, GENERAL)
    held = claims.claim(connection, row.message_id, Stage.GENERATE, worker=by, lease_ms=1_000)
    assert held is not None
    assert len(held.history) == 2 * claims.HISTORY_ROWS


def sweep(connection: Connection) -> None:
    sweeping.bury_silent_workers(connection)
    for due in sweeping.find_due(connection):
        sweeping.apply(connection, due, sweeping.decide(due, through_ms={}))


def look_at_health(connection: Connection) -> None:
    health.snapshot(connection)


def leave(connection: Connection) -> None:
    workers.leave(connection, 1)


def purge(connection: Connection) -> None:
    retention.delete_finished(connection, older_than_ms=0, limit=10)


@pytest.mark.parametrize(
    "deed",
    [intake, intake_behind_another, duplicate, through_all_stages, history, sweep, look_at_health, leave, purge],
    ids=lambda deed: str(deed.__name__),
)
def test_nothing_reads_all_messages(engine: Engine, deed: Callable[[Connection], None]) -> None:
    fill(engine, messages=5_000, conversations=20)
    with statements(engine) as seen, one_statement(engine) as connection:
        deed(connection)
    with reading(engine) as connection:
        for statement, parameters in seen:
            if "messages" in statement or "events" in statement or "answers" in statement:
                assert_no_scan(connection, statement, parameters)


def assert_no_scan(connection: Connection, statement: str, parameters: Any) -> None:
    if "LIMIT" in statement and "ORDER BY messages.id" in statement and "WHERE" not in statement:
        return  # the first few by primary key: reads no more than it returns
    if connection.dialect.name == "sqlite":
        plan = [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        scans = [
            line
            for line in plan
            if re.match(r"SCAN (messages|m|n|messages_\d|events|answers|a)\b", line)
            and not re.search(r"USING (COVERING )?INDEX ix_messages_(turn|wake|lease)|USING INTEGER PRIMARY KEY", line)
        ]
    else:
        plan = [row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)]
        scans = [line for line in plan if re.search(r"Seq Scan on (messages|events|answers|sends)\b", line)]
    assert not scans, "\n".join([statement, *plan])
