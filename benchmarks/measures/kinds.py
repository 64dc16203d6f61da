"""What a message costs with each kind of answerer, and a thousand calls of each at the same time."""

from __future__ import annotations

import asyncio

from benchmarks import load
from benchmarks.figures import Bench, Figure, Measured, at_least
from benchmarks.kinds import KINDS
from benchmarks.measures.calls import DELAY_S, Peak, most_at_once
from benchmarks.stack import Plan, Stack, stack

PER_S = 20
#: an agent's worker has a pool of its own size, because each of its answers computes; nobody runs a thousand of them
AGENTS = 100


def measure(bench: Bench) -> Measured:
    """One stack after the other: first a steady load for the cost, then as many calls at once as are wanted."""
    each, calls = bench.of(120, 400), bench.of(200, 1000)
    figures: list[Figure] = []
    rows: list[tuple[str, ...]] = [("", "CPU per message", "calls at the same time", "memory of all workers")]
    for name, kind in KINDS.items():
        wanted = AGENTS if kind.roles else calls
        plan = Plan(
            database=bench.database,
            kind=name,
            environment={"GENERATE_CONCURRENCY": str(wanted), "AGENT_CONCURRENCY": str(wanted)},
        )
        with stack(plan, bench.folder / f"kind-{name}") as up:
            asyncio.run(load.one_after_the_other(up, 60, 30))
            bench.say(f"{name}: {each} messages at {PER_S} a second, then {wanted} at once")
            cost_ms = _cost_ms(up, each)
            up.model.control.pace(delay_ms=DELAY_S * 1000, tokens_per_second=20)
            since = up.model.control.calls()[-1]["seq"]
            peak = Peak(up)
            run = asyncio.run(load.backlog(up, wanted, wanted, in_flight=32))
            memory, _ = peak.stop()
            at_once = most_at_once(up, kind.path, since)
        figures.append(Figure(f"CPU per message, {name}", f"{cost_ms:.1f} ms"))
        figures.append(at_least(f"answered of {wanted} at once, {name}", len(run.replied_at_ms), wanted, "", digits=0))
        rows.append((name, f"{cost_ms:.1f} ms", str(at_once), f"{memory / 1e6:.0f} MB"))
    return Measured(
        "Kinds of answerers",
        f"{each} DingTalk messages at {PER_S} a second with each kind of answerer, all our processes counted, the model "
        f"answers at once; then {calls} messages of as many conversations at the same time ({AGENTS} for the agent), the "
        f"model begins to answer after {DELAY_S} s. The agent has one tool and is not asked to use it.",
        figures,
        {},
        {"Side by side": rows},
    )


def _cost_ms(up: Stack, count: int) -> float:
    before = up.processes.usage_by_name()
    asyncio.run(load.at_rate(up, PER_S, count / PER_S, 100))
    after = up.processes.usage_by_name()
    kinds = up.processes.kinds()
    return sum((after[name] - before[name]).cpu_s for name in after if kinds[name] == "ours") / count * 1000
