"""Does the ledger stay flat? Milliseconds per call with 0 and with many stored messages, side by side.

python -m benchmarks.ledger_growth sqlite:////tmp/growth.db [--messages 1000000]
python -m benchmarks.ledger_growth postgresql://...         (an empty database)
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

from sqlalchemy import Engine, text

from mindbot_tasks.model.answer import Answer, Classification
from mindbot_tasks.model.message import Message, Part, Stage, State
from mindbot_tasks.stores import claims, health, inbox, migrate, steps, sweeping, workers
from mindbot_tasks.stores.database import one_statement, open_engine, reading, transaction

_numbers = itertools.count(1)
_LABEL = Classification("general_chat", 1.0, "benchmark")
_ANSWER = Answer("An answer of ordinary length, for nobody in particular. " * 5, provider="benchmark")


def fill(engine: Engine, *, messages: int, conversations: int, unanswered: int = 5) -> None:
    """Store `messages` finished messages with answers, one in four of them not for us, and a few that still wait."""
    postgresql = engine.dialect.name == "postgresql"
    numbers = (
        "generate_series(1, {n}) AS s(n)"
        if postgresql
        else "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {n}) SELECT n FROM s) AS s"
    )
    cast = "::jsonb" if postgresql else ""
    finished = f"n <= {messages - unanswered}"
    with transaction(engine) as connection:
        if postgresql:
            connection.execute(text("ALTER TABLE messages DISABLE TRIGGER ALL"))
            triggers: dict[str, str] = {}
        else:
            found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
            triggers = {row.name: row.sql for row in found}
            for name in triggers:
                connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(
            text(
                "INSERT INTO conversations (platform, bot, external_id, kind, title, created_at) "
                f"SELECT 'chat', 'default', 'c-' || (n - 1), 'group', '', 1 FROM {numbers.format(n=conversations)}"
            )
        )
        first = connection.execute(text("SELECT id FROM conversations WHERE external_id = 'c-0'")).scalar()
        connection.execute(
            text(
                f"""INSERT INTO messages (conversation_id, platform, bot, external_id, conversation_ref,
                conversation_kind, sender_ref, text, parts, address, state, attempt, strikes, retries, wake_at,
                deadline_at, sent_parts, step, stepped_at, received_at, finished_at)
                SELECT {first} + n % {conversations}, 'chat', 'default', 'f-' || n, 'c-' || (n % {conversations}),
                'group', 'u1', 'How do I fill in the form for travel expenses?', '[]'{cast}, '{{}}'{cast},
                CASE WHEN {finished} THEN CASE WHEN n % 4 = 0 THEN 'ignored' ELSE 'replied' END ELSE 'received' END,
                3, 0, 0, CASE WHEN {finished} THEN NULL ELSE 4000000000000 END, 4000000000000, 1, 'replied', 1000 + n,
                1000 + n, CASE WHEN {finished} THEN 1000 + n ELSE NULL END FROM {numbers.format(n=messages)}"""
            )
        )
        connection.execute(
            text(
                f"""INSERT INTO answers (message_id, text, parts, provider, model, workflow, input_tokens,
                output_tokens, latency_ms, details, created_at)
                SELECT id, 'Like this.', '[]'{cast}, 'benchmark', '', '', 1, 1, 1, '{{}}'{cast}, 1
                FROM messages WHERE state = 'replied' AND external_id LIKE 'f-%'"""
            )
        )
        connection.execute(
            text(
                "INSERT INTO events (message_id, at, step, state, attempt, took_ms) "
                "SELECT id, finished_at, 'replied', 'replied', 3, 1 FROM messages "
                "WHERE state = 'replied' AND external_id LIKE 'f-%'"
            )
        )
        if postgresql:
            connection.execute(text("ALTER TABLE messages ENABLE TRIGGER ALL"))
        for sql in triggers.values():
            connection.exec_driver_sql(sql)
    with one_statement(engine) as connection:
        if postgresql:
            connection.execute(text("VACUUM ANALYZE"))
            connection.execute(text("CHECKPOINT"))  # or the measurement would share the disk with it
        else:
            connection.execute(text("ANALYZE"))
    inbox.forget_known()


def measure(engine: Engine, rounds: int) -> dict[str, float]:
    """Median milliseconds of each call."""
    taken: dict[str, list[float]] = {}

    with one_statement(engine) as connection:
        by = workers.register(connection, "benchmark", [])

    def clock(name: str, started: float) -> None:
        taken.setdefault(name, []).append((time.perf_counter() - started) * 1000)

    for number in range(rounds):
        incoming = Message(
            platform="chat",
            bot="default",
            external_id=f"b-{next(_numbers)}",
            conversation_id=f"b-{number % 50}",
            conversation_kind="one_to_one",
            sender_id="u1",
            sender_name="",
            parts=(Part("text", "How do I fill in the form for travel expenses?"),),
            address={},
        )
        started = time.perf_counter()
        with one_statement(engine) as connection:
            row = inbox.record_once(connection, incoming, deadline_ms=600_000)
        clock("intake", started)
        for stage in (Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY):
            started = time.perf_counter()
            with one_statement(engine) as connection:
                held = claims.claim(connection, row.message_id, stage, worker=by, lease_ms=150_000)
            assert held is not None
            clock(f"claim {stage}", started)
            started = time.perf_counter()
            with transaction(engine) if stage is Stage.GENERATE else one_statement(engine) as connection:
                if stage is Stage.CLASSIFY:
                    steps.save_classification(connection, held, _LABEL)
                elif stage is Stage.GENERATE:
                    steps.save_answer(connection, held, _ANSWER)
                else:
                    steps.finish(connection, held, State.REPLIED, sent_parts=1, sent_id="x")
            clock(f"advance {stage}", started)
        if number % 10 == 0:
            started = time.perf_counter()
            with one_statement(engine) as connection:
                sweeping.bury_silent_workers(connection)
                sweeping.find_due(connection)
            clock("sweep", started)
            started = time.perf_counter()
            with reading(engine) as connection:
                health.snapshot(connection)
            clock("health", started)
            started = time.perf_counter()
            with one_statement(engine) as connection:
                workers.take_duty(connection, "benchmark", every_ms=0)
            clock("bare commit", started)
    return {name: statistics.median(values) for name, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=500)
    options = parser.parse_args()
    migrate.upgrade(options.url)
    engine = open_engine(options.url, statement_timeout_s=600)
    try:
        measure(engine, 100)  # warms caches
        empty = measure(engine, options.rounds)
        started = time.monotonic()
        fill(engine, messages=options.messages, conversations=max(1, options.messages // 100))
        print(f"{options.messages} messages stored in {time.monotonic() - started:.0f} s ({engine.dialect.name})\n")
        measure(engine, 100)
        full = measure(engine, options.rounds)
    finally:
        engine.dispose()
    # the disk and the neighbours change between the two measurements; a bare commit tells how much
    noise = full["bare commit"] / empty["bare commit"]
    print(f"{'ms per call':<18}{'empty':>9}{'full':>9}{'ratio':>8}{'to bare commit':>16}")
    for name, before, after in [
        *((name, before, full[name]) for name, before in empty.items()),
        ("one message", _whole(empty), _whole(full)),
    ]:
        print(f"{name:<18}{before:>9.3f}{after:>9.3f}{after / before:>8.2f}{after / before / noise:>16.2f}")


def _whole(figures: dict[str, float]) -> float:
    return sum(value for name, value in figures.items() if name not in ("sweep", "health", "bare commit"))


if __name__ == "__main__":
    main()
