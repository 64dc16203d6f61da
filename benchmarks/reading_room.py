"""A process that reads documents as a worker does, or asks as the threads of a worker do; tells how long it took as JSON.

`python -m benchmarks.reading_room fill SECTIONS`, `... ask SECTIONS THREADS [STARTS_AT]`, `... more SECTIONS` has more of
them to be read by somebody else, `... count` tells how many pieces have vectors. How far it is stands on standard error.
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
from mindbot_tasks.knowledge.ingesting import Progress, work_off
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.tables_knowledge import ChunkRow

_ONE_BY_ONE = 200
_ROUNDS = 3
_TELL_EVERY_S = 15.0
_WAKE_UPS = 20  #: each is good for two minutes


def fill(settings: Settings, sections: int) -> dict[str, Any]:
    """The way of `mindbot kb add` and of the workers that read."""
    base = retrieval.default_base(settings)
    for document in Library().documents(sections):
        with transaction() as connection:
            knowledge.add(connection, base, document.source, "file", document.source, document.text.encode())
    started, cpu = time.perf_counter(), time.process_time()
    screen = _Screen(sections)
    while work_off(settings, seconds=60, on_progress=screen.show):
        pass
    with reading() as connection:
        pieces = connection.execute(select(func.count()).select_from(ChunkRow)).scalar_one()
    return {"pieces": pieces, "seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu} | _memory()


class _Screen:
    """Tells the person who waits how far the reading is."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._began = self._told_at = time.monotonic()
        self._done: Counter[str] = Counter()

    def show(self, progress: Progress) -> None:
        if progress.total:
            self._done[progress.source] = progress.done
        if time.monotonic() - self._told_at > _TELL_EVERY_S:
            self._told_at = time.monotonic()
            done = self._done.total()
            pace = done / (self._told_at - self._began)
            left_min = (self._pieces - done) / max(pace, 0.1) / 60
            _say(f"{done:,} of {self._pieces:,} pieces, {pace:.0f} a second, {left_min:.0f} min left")


def _say(words: str) -> None:
    print(f"    {words}", file=sys.stderr, flush=True)


def more(settings: Settings, sections: int) -> dict[str, Any]:
    """Other documents, for the workers that read; they are woken up as `mindbot kb add` wakes them."""
    from mindbot_tasks.app import app

    told = count()
    for document in Library(seed=2).documents(sections):
        with transaction() as connection:
            source = f"more/{document.source}"
            knowledge.add(connection, retrieval.default_base(settings), source, "file", source, document.text.encode())
    for _ in range(_WAKE_UPS):
        app.send_task("mindbot.ingest", queue="ingest")
    return told


def count() -> dict[str, Any]:
    with reading() as connection:
        having = select(func.count()).select_from(ChunkRow).where(ChunkRow.embedder != "")
        return {"vectors": connection.execute(having).scalar_one()}


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
        _say(f"{_ONE_BY_ONE} one after the other")
        for question in questions[1 : 1 + _ONE_BY_ONE]:
            one(question)
        told |= {"single": _summed_up(outcomes), "cpu_ms": (time.process_time() - cpu) / len(outcomes) * 1000}
    for number in range(_ROUNDS):
        _say(f"{threads} at once, {number + 1} of {_ROUNDS}")
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
    what, *numbers = sys.argv[1:]
    settings = get_settings()
    if what == "fill":
        told = fill(settings, int(numbers[0]))
    elif what == "more":
        told = more(settings, int(numbers[0]))
    elif what == "count":
        told = count()
    else:
        told = ask(settings, int(numbers[0]), int(numbers[1]), float(numbers[2]) if len(numbers) > 2 else 0.0)
    sys.stdout.write(orjson.dumps(told).decode() + "\n")


if __name__ == "__main__":
    main()
