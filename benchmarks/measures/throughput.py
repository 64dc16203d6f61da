"""How many replies a second two cores give, and what the machinery adds to the model's own time at half of that."""

from __future__ import annotations

import asyncio

from benchmarks import load
from benchmarks.figures import Bench, Figure, Measured, at_least, at_most
from benchmarks.load import percentile
from benchmarks.stack import Plan, stack

MODEL_MS = 200
PLATFORM_MS = 100


def measure(bench: Bench) -> Measured:
    """A backlog, then the same with a slow platform, then a steady load at half the rate."""
    count, conversations = bench.of(800, 2000), bench.of(200, 500)
    with stack(Plan(database=bench.database, model_delay_ms=MODEL_MS), bench.folder / "throughput") as up:
        asyncio.run(load.one_after_the_other(up, 100, 50))
        bench.say(f"a backlog of {count} messages of {conversations} conversations, model {MODEL_MS} ms")
        quick = asyncio.run(load.backlog(up, count, conversations))
        bench.say(f"the same with a platform that takes {PLATFORM_MS} ms")
        up.dingtalk.control.pace(delay_ms=PLATFORM_MS)
        slow = asyncio.run(load.backlog(up, count, conversations))
        up.dingtalk.control.pace(delay_ms=0)
        per_s, slow_per_s = count / quick.seconds(), count / slow.seconds()
        half, seconds = per_s / 2, bench.of(8, 30)
        bench.say(f"half of that, {half:.0f} a second for {seconds} s")
        steady = asyncio.run(load.at_rate(up, half, seconds, 2000))
    added = [delay - MODEL_MS for delay in steady.delays_ms()]
    return Measured(
        "Throughput and added latency",
        f"A backlog of {count} DingTalk messages of {conversations} conversations, taken in as fast as "
        "they are acknowledged; "
        f"the model needs {MODEL_MS} ms. Then the same with a platform API that needs {PLATFORM_MS} ms. "
        "Then webhooks at "
        f"half the first rate for {seconds} s: from when each was due to its reply, less the model's "
        f"{MODEL_MS} ms. The "
        "emulators, Redis and the sender share the two cores.",
        [
            Figure("replies per second", f"{per_s:.0f}", "aim: 200"),
            at_least(f"the same, platform {PLATFORM_MS} ms", slow_per_s / per_s, 0.8, "x", digits=2),
            at_most("added latency at half load, p95", percentile(added, 0.95), 200, "ms", digits=0),
            Figure("added latency at half load, p50", f"{percentile(added, 0.5):.0f} ms"),
        ],
        {
            "replies_per_s": per_s,
            "replies_per_s_slow_platform": slow_per_s,
            "added_ms": [round(each, 1) for each in added],
        },
    )
