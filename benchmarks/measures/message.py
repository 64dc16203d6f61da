"""What one message costs from the door to the reply, next to a bare Celery chain in the same minutes."""

from __future__ import annotations

import asyncio
import statistics

from benchmarks import load
from benchmarks.bare.running import bare
from benchmarks.figures import Bench, Figure, Measured, at_most
from benchmarks.stack import Plan, stack

PER_S = 40


def measure(bench: Bench) -> Measured:
    """Rounds of the bare chains and of whole messages in turn, all at the same rate."""
    rounds, each = bench.of(2, 5), bench.of(240, 400)
    taken: dict[str, list[float]] = {}
    with (
        stack(Plan(database=bench.database), bench.folder / "message") as up,
        bare(up, "stock") as stock,
        bare(up, "tuned") as tuned,
    ):
        asyncio.run(load.one_after_the_other(up, 100, 50))
        for number in range(rounds):
            bench.say(f"round {number + 1} of {rounds}: {each} chains, {each} messages at {PER_S} a second")
            costs = {
                "bare chain, stock": stock.chains(each, PER_S),
                "bare chain, our settings": tuned.chains(each, PER_S),
            }
            before = up.processes.usage_by_name()
            asyncio.run(load.at_rate(up, PER_S, each / PER_S, 100))
            after = up.processes.usage_by_name()
            by_name = {name: (after[name] - before[name]).cpu_s / each * 1000 for name in after}
            kinds = up.processes.kinds()
            costs["MindBot"] = sum(cost for name, cost in by_name.items() if kinds[name] == "ours")
            costs |= {f"  {name}": cost for name, cost in by_name.items() if kinds[name] not in ("stock", "tuned")}
            for name, cost in costs.items():
                taken.setdefault(name, []).append(cost)
    medians = {name: statistics.median(costs) for name, costs in taken.items()}
    bench.known["message_ms"] = medians["MindBot"]
    pairs = list(zip(taken["MindBot"], taken["bare chain, stock"], taken["bare chain, our settings"], strict=True))
    to_stock = statistics.median(ours / stock for ours, stock, _ in pairs)
    to_tuned = statistics.median(ours / tuned for ours, _, tuned in pairs)
    rows: list[tuple[str, ...]] = [("", "CPU per message or chain")]
    rows += [(name, f"{cost:.2f} ms") for name, cost in medians.items()]
    return Measured(
        "CPU per message",
        f"{rounds} rounds; in each, {each} bare chains with Celery's stock settings, {each} with "
        f"MindBot's and {each} DingTalk "
        f"messages, all at {PER_S} a second. A bare chain is three tasks that do nothing, on the same "
        "Redis, with the same "
        "pools and threads. A message is a signed webhook, its chain and its reply by session webhook, "
        "with a model that "
        "answers at once. All our processes count, with their children; Redis and the emulators are shown apart. The "
        "ratios are medians over the rounds.",
        [
            at_most("message to a bare chain (stock settings)", to_stock, 2, "x", digits=2),
            Figure("message to a bare chain (our settings)", f"{to_tuned:.2f} x"),
            Figure("CPU per message", f"{medians['MindBot']:.1f} ms", "aim: 8 ms"),
        ],
        {"rounds_ms": taken},
        {"CPU of each part": rows},
    )
