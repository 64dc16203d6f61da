"""The bare chain's workers beside a stack, on its Redis, and what one chain costs."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.processes import ROOT
from benchmarks.stack import Stack

WORKERS = {"first": 16, "second": 50}  #: queue -> threads, as worker_fast and worker_generate have them


class Bare:
    """One kind of bare chain, ready to run."""

    def __init__(self, stack: Stack, kind: str, database: int) -> None:
        self.kind = kind
        self._stack = stack
        self._redis = stack.redis(database)
        environment = {**stack.environment("bare"), "BENCH_BROKER_URL": stack.redis_url(database)}
        for queue, threads in WORKERS.items():
            argv = [sys.executable, "-m", "celery", "-A", f"benchmarks.bare.{kind}", "worker", "-Q", queue,
                    "-P", "threads", "-c", str(threads), "-n", f"{kind}-{queue}@%h", "--without-gossip",
                    "--without-mingle", "-l", "WARNING"]  # fmt: skip
            stack.processes.start(f"{kind}-{queue}", argv, environment, stack.folder, kind=kind)
        self._publisher = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.bare.publish", kind],
            env=environment, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.chains(1, per_s=100)  # connections are made

    def chains(self, count: int, per_s: float) -> float:
        """CPU milliseconds for each of `count` chains, publisher and workers together."""
        assert self._publisher.stdin is not None
        assert self._publisher.stdout is not None
        before = self._stack.processes.usage(self.kind)
        self._publisher.stdin.write(f"{count} {per_s}\n")
        self._publisher.stdin.flush()
        published_s = float(self._publisher.stdout.readline())
        quiet = 0
        while quiet < 3:  # a task is for a moment neither in the list nor among the unacknowledged
            quiet = quiet + 1 if self._nothing_left() else 0
            time.sleep(0.03)
        used = self._stack.processes.usage(self.kind) - before
        return (published_s + used.cpu_s) / count * 1000

    def close(self) -> None:
        assert self._publisher.stdin is not None
        self._publisher.stdin.close()
        self._publisher.wait(10)
        self._stack.processes.stop(*(f"{self.kind}-{queue}" for queue in WORKERS))

    def _nothing_left(self) -> bool:
        prefix = "mindbot:" if self.kind == "tuned" else ""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.llen(f"{prefix}first")
            pipe.llen(f"{prefix}second")
            pipe.hlen(f"{prefix}unacked")
            return not any(pipe.execute())


@contextlib.contextmanager
def bare(stack: Stack, kind: str) -> Iterator[Bare]:
    """`kind` is "stock" or "tuned"; a Redis database of its own."""
    running = Bare(stack, kind, {"stock": 2, "tuned": 3}[kind])
    try:
        yield running
    finally:
        running.close()
