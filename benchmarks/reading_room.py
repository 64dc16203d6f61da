"""A process that reads documents as a worker does, or asks as the threads of a worker do; tells how long it took as JSON.

`python -m benchmarks.reading_room fill SECTIONS` and `... ask SECTIONS THREADS [STARTS_AT]`.
"""

from __future__ import annotations

import logging
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

import orjson
import psutil
import structlog
from sqlalchemy import func, select

from benchmarks.documents import Library
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.knowledge import retrieval
from mindbot_tasks.knowledge.ingesting import work_off
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.tables_knowledge import ChunkRow

_ONE_BY_ONE = 200
_ROUNDS = 3


def fill(settings: Settings, sections: int) -> dict[str, Any]:
    """The way of `mindbot kb add` and of the workers that read."""
    base = retrieval.default_base(settings)
    for document in Library().documents(sections):
        with transaction() as connection:
            knowledge.add(connection, base, document.source, "file", document.source, document.text.encode())
    started, cpu = time.perf_counter(), time.process_time()
    while work_off(settings, seconds=60):
        pass
    with reading() as connection:
        pieces = connection.execute(select(func.count()).select_from(ChunkRow)).scalar_one()
    return {"pieces": pieces, "seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu} | _memory()


def ask(settings: Settings, sections: int, threads: int, starts_at: float) -> dict[str, Any]:
    """First one after the other, then all at once, again and again."""
    bases = [retrieval.default_base(settings)]
    questions = [asked for document in Library().documents(sections) for asked in document.questions]
    random.Random(7 + threads).shuffle(questions)
    outcomes: list[tuple[float, str, bool]] = []

    def one(question: tuple[str, str]) -> None:
        started = time.perf_counter()
        found = retrieval.search(settings, question[0], bases, Deadline(60))
        is_right = any(question[1] in passage.text for passage in found.passages)
        outcomes.append(((time.perf_counter() - started) * 1000, found.trouble, is_right))

    one(questions[0])
    first_ms, trouble, _ = outcomes.pop()
    told: dict[str, Any] = {"first_ms": first_ms, "first_trouble": trouble, "rounds": []}
    if starts_at:
        time.sleep(max(0.0, starts_at - time.time()))
    else:
        cpu = time.process_time()
        for question in questions[1 : 1 + _ONE_BY_ONE]:
            one(question)
        told |= {"single": _summed_up(outcomes), "cpu_ms": (time.process_time() - cpu) / len(outcomes) * 1000}
    for number in range(_ROUNDS):
        outcomes.clear()
        gate = threading.Barrier(threads)

        def wait_and_ask(question: tuple[str, str], gate: threading.Barrier = gate) -> None:
            gate.wait()
            one(question)

        chosen = (questions * (1 + threads // len(questions)))[number * 50 :][:threads]
        running = [threading.Thread(target=wait_and_ask, args=(question,)) for question in chosen]
        started = time.perf_counter()
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        told["rounds"].append(_summed_up(outcomes) | {"seconds": time.perf_counter() - started})
    return told | _memory()


def _summed_up(outcomes: list[tuple[float, str, bool]]) -> dict[str, Any]:
    return {
        "taken_ms": [round(taken, 2) for taken, _, _ in outcomes],
        "troubles": Counter(trouble for _, trouble, _ in outcomes if trouble),
        "right": sum(is_right for _, _, is_right in outcomes),
    }


def _memory() -> dict[str, float]:
    used = psutil.Process().memory_full_info()
    return {"own_mb": used.uss / 1e6, "shared_too_mb": used.rss / 1e6}


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    what, sections, *more = sys.argv[1:]
    settings = get_settings()
    if what == "fill":
        told = fill(settings, int(sections))
    else:
        told = ask(settings, int(sections), int(more[0]), float(more[1]) if len(more) > 1 else 0.0)
    sys.stdout.write(orjson.dumps(told).decode() + "\n")


if __name__ == "__main__":
    main()
