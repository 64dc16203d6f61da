"""A thousand model calls at the same time on one machine, and the memory that takes."""

from __future__ import annotations

import asyncio
import threading
import time

from benchmarks import load
from benchmarks.figures import Bench, Measured, at_least, at_most
from benchmarks.kinds import KINDS
from benchmarks.stack import Plan, Stack, stack

DELAY_S = 5


def measure(bench: Bench) -> Measured:
    """As many messages of as many conversations as calls, against a model that thinks for seconds and then streams."""
    calls = bench.of(500, 1000)
    plan = Plan(
        database=bench.database,
        model_delay_ms=DELAY_S * 1000,
        model_words=40,
        tokens_per_second=20,
        environment={"GENERATE_CONCURRENCY": str(calls)},
    )
    with stack(plan, bench.folder / "calls") as up:
        bench.say(f"{calls} messages at once, the model takes {DELAY_S} s and then streams")
        peak = Peak(up)
        run = asyncio.run(load.backlog(up, calls, calls, in_flight=32))
        memory, by_name = peak.stop()
        at_once = most_at_once(up, KINDS[plan.kind].path)
    rows: list[tuple[str, ...]] = [
        ("", "memory at the peak"),
        *((name, f"{size / 1e6:.0f} MB") for name, size in by_name.items()),
    ]
    return Measured(
        "Concurrent model calls",
        f"{calls} messages of {calls} conversations, one worker_generate with `-c {calls}`, a model that "
        "begins to stream "
        f"after {DELAY_S} s. Memory is proportional (shared pages count once), looked at twice a second.",
        [
            at_least("model calls at the same time", at_once, calls * 0.9, "", digits=0),
            at_least("answered", len(run.replied_at_ms), calls, "", digits=0),
            at_most("memory of all workers", memory / 1e6, 1000, "MB", digits=0),
        ],
        {"seconds": run.seconds()},
        {"Memory by process": rows},
    )


def most_at_once(up: Stack, path: str, since: int = 0) -> int:
    """From the emulator's own record of when each call came and how long its answer took."""
    edges: list[tuple[float, int]] = []
    for call in up.model.control.calls(since):
        if not call["path"].startswith(path):
            continue
        edges += [(call["at_ms"], 1), (call["at_ms"] + call.get("ms", 0), -1)]
    most = now = 0
    for _, change in sorted(edges):
        now += change
        most = max(most, now)
    return most


class Peak:
    """The most memory that the workers had together."""

    def __init__(self, up: Stack) -> None:
        self._up = up
        self._most = 0
        self._by_name: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.5):
            usage = {
                name: used.memory_bytes
                for name, used in self._up.processes.usage_by_name().items()
                if name.startswith("worker_")
            }
            if sum(usage.values()) > self._most:
                self._most, self._by_name = sum(usage.values()), usage

    def stop(self) -> tuple[int, dict[str, int]]:
        time.sleep(0.6)
        self._stop.set()
        self._thread.join()
        return self._most, self._by_name
