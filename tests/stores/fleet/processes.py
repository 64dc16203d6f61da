"""Several processes of the fleet that do the same at the same time."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["tests.stores.fleet.test_capacity", "tests.stores.fleet.test_limits_and_breakers"])
PATIENCE_S = 60


def in_processes(work: Callable[..., None], url: str, count: int, *arguments: Any) -> list[Any]:
    """What so many processes put into the queue that they get, each one thing; they begin together."""
    results, gate = SPAWN.Queue(), SPAWN.Barrier(count)
    processes = [SPAWN.Process(target=work, args=(url, gate, results, *arguments)) for _ in range(count)]
    for process in processes:
        process.start()
    found = [results.get(timeout=PATIENCE_S) for _ in processes]
    for process in processes:
        process.join(PATIENCE_S)
    return found
