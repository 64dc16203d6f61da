"""Whether a message costs the same with many conversations and many stored messages."""

from __future__ import annotations

import asyncio
import contextlib
import statistics

from sqlalchemy import Engine, text

from benchmarks import ledger_growth, load
from benchmarks.figures import Bench, Measured, at_most
from benchmarks.stack import Plan, Stack, stack, start_roles
from mindbot_tasks.stores.database import open_engine, transaction

TURNS = 20  #: of each conversation that are stored before, so that every question has the same history


def measure(bench: Bench) -> Measured:
    """Three stacks side by side, in turn: few conversations, many, and many with a long past."""
    few, many, stored = 10, bench.of(2_000, 10_000), bench.of(100_000, 1_000_000)
    rounds, each = bench.of(2, 5), bench.of(200, 300)
    sizes = {"few": (few, 0), "many": (many, 0), "long past": (many, stored)}
    taken: dict[str, list[float]] = {name: [] for name in sizes}
    with contextlib.ExitStack() as held:
        ups: dict[str, Stack] = {}
        for name, (conversations, past) in sizes.items():
            bench.say(f"{name}: {conversations} conversations, {past} more stored messages")
            folder = bench.folder / f"growth-{name.replace(' ', '-')}"
            ups[name] = held.enter_context(stack(Plan(database=bench.database), folder, roles=False))
            engine = open_engine(ups[name].database_url, statement_timeout_s=900)
            fill_history(engine, conversations)
            if past:
                ledger_growth.fill(engine, messages=past, conversations=past // 100)
            engine.dispose()
        for up in ups.values():
            start_roles(up)
            asyncio.run(load.one_after_the_other(up, 100, few))
        for number in range(rounds):
            bench.say(f"round {number + 1} of {rounds}")
            for name, up in ups.items():
                before = up.processes.usage()
                asyncio.run(load.one_after_the_other(up, each, sizes[name][0], askers=few))
                taken[name].append((up.processes.usage() - before).cpu_s / each * 1000)
    medians = {name: statistics.median(costs) for name, costs in taken.items()}
    rows: list[tuple[str, ...]] = [
        ("", "CPU per message"),
        *((name, f"{cost:.2f} ms") for name, cost in medians.items()),
    ]
    return Measured(
        "Growth",
        f"Three stacks in turn, {rounds} rounds of {each} messages by ten people who wait for each answer: {few} "
        f"conversations; {many}; {many} and {stored:,} more stored messages. Each conversation has "
        f"{TURNS} earlier turns. "
        "For single statements see `python -m benchmarks.ledger_growth`.",
        [
            at_most(
                f"CPU per message, {many:,} to {few} conversations", _ratio(taken, "many", "few"), 1.1, "x", digits=2
            ),
            at_most(f"CPU per message, {stored:,} to 0 stored", _ratio(taken, "long past", "many"), 1.1, "x", digits=2),
        ],
        {"rounds_ms": taken},
        {"CPU per message": rows},
    )


def _ratio(taken: dict[str, list[float]], this: str, other: str) -> float:
    return statistics.median(a / b for a, b in zip(taken[this], taken[other], strict=True))


def fill_history(engine: Engine, conversations: int) -> None:
    """Answered messages in the conversations that `load.prepare` writes to."""
    postgresql = engine.dialect.name == "postgresql"
    cast = "::jsonb" if postgresql else ""
    padded = "lpad({n}::text, 6, '0')" if postgresql else "printf('%06d', {n})"
    numbers = "(WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < {last}) SELECT n FROM s) AS s"
    user = padded.format(n="n")
    of_message = padded.format(n=f"(n % {conversations})")
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO conversations (platform, bot, external_id, kind, title, created_at) SELECT 'dingtalk', "
                f"'default', 'cidbench' || {user} || '==', 'one_to_one', '', 1 FROM "
                f"{numbers.format(last=conversations - 1)}"
            )
        )
        connection.execute(
            text(
                f"""INSERT INTO messages (conversation_id, platform, bot, external_id, conversation_ref,
                conversation_kind, sender_ref, text, parts, address, state, attempt, strikes, retries, wake_at,
                deadline_at, sent_parts, step, stepped_at, received_at, finished_at)
                SELECT c.id, 'dingtalk', 'default', 'past-' || n, c.external_id, 'one_to_one', 'bench' || {of_message},
                'How do I fill in the form for travel expenses?', '[]'{cast}, '{{}}'{cast}, 'replied', 3, 0, 0, NULL,
                4000000000000, 1, 'replied', 1000, 1000, 1000
                FROM {numbers.format(last=conversations * TURNS - 1)}
                JOIN conversations c ON c.external_id = 'cidbench' || {of_message} || '=='"""
            )
        )
        connection.execute(
            text(
                f"""INSERT INTO answers (message_id, text, parts, provider, model, workflow, input_tokens,
                output_tokens, latency_ms, details, created_at) SELECT id, 'In the office, on the third floor.',
                '[]'{cast}, 'benchmark', '', '', 1, 1, 1, '{{}}'{cast}, 1 FROM messages"""
            )
        )
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
        connection.commit()
