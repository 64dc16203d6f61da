"""How long a platform waits for its 200, in good times and while the broker hangs or is gone."""

from __future__ import annotations

import asyncio
import signal

from benchmarks import load
from benchmarks.figures import Bench, Figure, Measured, at_most
from benchmarks.load import Run, percentile
from benchmarks.stack import Plan, Stack, stack

PER_S = 200
WORKERS = frozenset({"worker_fast", "worker_generate", "worker_alerts", "beat"})


def measure(bench: Bench) -> Measured:
    """Open loop at 200 webhooks a second."""
    seconds = bench.of(5, 20)
    runs: dict[str, Run] = {}
    bench.say(f"{PER_S} webhooks a second for {seconds} s, the door alone")
    with stack(Plan(database=bench.database, without=WORKERS), bench.folder / "door") as up:
        _run(up, 2)  # every thread has its connections
        runs["the door alone"] = _run(up, seconds)
    with stack(Plan(database=bench.database), bench.folder / "webhook") as up:
        asyncio.run(load.one_after_the_other(up, 100, 50))
        bench.say(f"{PER_S} webhooks a second for {seconds} s")
        runs["all well"] = _run(up, seconds)
        bench.say("the same while Redis hangs")
        up.processes.signal("redis", signal.SIGSTOP)
        try:
            runs["broker hangs"] = _run(up, seconds)
        finally:
            up.processes.signal("redis", signal.SIGCONT)
        bench.say("the same while Redis is gone")
        up.processes.stop("redis")
        runs["broker gone"] = _run(up, seconds)
    rows: list[tuple[str, ...]] = [("", "p50", "p95", "p99", "p99.9", "not 200")]
    figures = []
    for name, run in runs.items():
        took = [each.took_ms for each in run.posted]
        bad = sum(each.status != 200 for each in run.posted)
        rows.append((name, *(f"{percentile(took, share):.1f} ms" for share in (0.5, 0.95, 0.99, 0.999)), str(bad)))
        if name == "the door alone":
            figures.append(at_most("webhook handler, p99", percentile(took, 0.99), 50, "ms"))
        elif name == "all well":
            figures.append(at_most("webhook, p99, all of them answered beside it", percentile(took, 0.99), 50, "ms"))
        else:
            figures.append(at_most(f"webhook, {name}, p99.9", percentile(took, 0.999), 1500, "ms", digits=0))
        figures.append(Figure(f"webhook, {name}: not acknowledged", str(bad), "0", 0.0 if bad == 0 else 2.0))
    return Measured(
        "Webhooks",
        f"Signed DingTalk callbacks, {PER_S} a second for {seconds} s to 500 conversations, sent on time "
        "however slow the "
        "answers are; times count from when each was due. First with the door, its ledger and its broker alone; then "
        "with the workers on the same two cores, which answer every message, more than the cores can do. "
        '"Hangs" is a Redis that was stopped with SIGSTOP, "gone" one that was ended.',
        figures,
        {"latencies_ms": {name: [round(each.took_ms, 2) for each in run.posted] for name, run in runs.items()}},
        {"Time to the acknowledgement": rows},
    )


def _run(up: Stack, seconds: int) -> Run:
    return asyncio.run(load.at_rate(up, PER_S, seconds, 500, wait_s=0))
