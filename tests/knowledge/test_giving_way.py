"""Who reads documents gives way to who asks, and whoever asks gets an answer, be it by words alone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from mindbot_tasks import ingest
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.knowledge import ingesting, offline_embedding, retrieval, turns
from mindbot_tasks.knowledge.embedding import Offline
from mindbot_tasks.stores import knowledge_traffic
from tests.knowledge.conftest import Configure, read

MANY = "".join(f"# Rule {number}\n\nRoom {number} has {number} chairs and a lamp.\n\n" for number in range(40))


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The tables are tested on both databases elsewhere."""
    return sqlite_url


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge_traffic, "_said_at", -knowledge_traffic._SAY_EVERY_S)
    monkeypatch.setattr(knowledge_traffic, "_redis", Holdoff(10.0))
    monkeypatch.setattr(knowledge_traffic, "_KEPT_MS", 600_000)  # nobody has to look within three seconds


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pieces were embedded at once, each time."""
    sizes: list[int] = []

    def embed(self: Offline, texts: list[str], deadline: Deadline) -> list[list[float]]:
        sizes.append(len(texts))
        return [offline_embedding.embed(text) for text in texts]

    monkeypatch.setattr(Offline, "embed", embed)
    return sizes


def test_while_somebody_waits_documents_are_read_in_small_steps(
    settings: Settings, base: str, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "_PAUSE_S", 0.05)
    monkeypatch.setattr(knowledge_traffic, "is_busy", lambda: True)
    read(settings, base, "rules.md", MANY)
    assert batches == [16, 16, 8]  # it goes on, however long they ask


def test_when_nobody_waits_any_more_reading_goes_on_at_once(
    settings: Settings, base: str, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[bool] = []

    def busy_at_first() -> bool:
        looks.append(len(looks) < 2)
        return looks[-1]

    monkeypatch.setattr(ingesting, "_PAUSE_S", 60.0)
    monkeypatch.setattr(ingesting, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(knowledge_traffic, "is_busy", busy_at_first)
    read(settings, base, "rules.md", MANY)
    assert batches == [40]


def test_a_search_that_has_to_wait_is_known_to_other_processes(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(settings, base, "rules.md", MANY)
    monkeypatch.setattr(turns, "searches", turns.Turns(1))
    assert not retrieval.search(settings, "the lamp in room 7", [base], Deadline(60)).trouble
    assert not knowledge_traffic.is_busy()
    asking = threading.Thread(target=retrieval.search, args=(settings, "the lamp in room 8", [base], Deadline(90)))
    with turns.searches.one(Deadline(90)):
        asking.start()
        while not knowledge_traffic.is_busy():
            assert asking.is_alive()
    asking.join()


def test_slow_vectors_are_known_to_other_processes(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(settings, base, "rules.md", MANY)
    monkeypatch.setattr(retrieval, "_SLOW_S", -1.0)
    assert not retrieval.search(settings, "the lamp in room 7", [base], Deadline(60)).trouble
    assert knowledge_traffic.is_busy()


def test_who_has_waited_long_is_answered_by_words(
    settings: Settings, base: str, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read(settings, base, "rules.md", MANY)
    batches.clear()
    monkeypatch.setattr(retrieval, "_LATE_S", -1.0)
    found = retrieval.search(settings, "how many chairs has room 7?", [base], Deadline(60))
    assert ("7 chairs" in found.passages[0].text, found.trouble, batches) == (True, "vectors", [])


def test_without_redis_reading_goes_on_at_its_own_pace(configure: Configure, tmp_path: Path) -> None:
    configure(redis_url="redis://127.0.0.1:9/0")
    knowledge_traffic.say_busy()
    assert not knowledge_traffic.is_busy()


def test_whoever_answers_has_the_processor_first(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr("os.setpriority", lambda *values: asked.append(values))
    monkeypatch.setattr("os.getpriority", lambda *_: 0)
    assert ingest.ingest() == 0
    monkeypatch.setattr("os.getpriority", lambda *_: 15)
    assert ingest.ingest() == 0
    assert [nice for _, _, nice in asked] == [10]  # never back up, which the kernel would refuse
