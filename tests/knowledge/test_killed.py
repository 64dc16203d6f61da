"""Processes that read documents are killed for good, in the middle: nothing is missing then, nothing is there twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.knowledge import indexing, retrieval
from mindbot_tasks.knowledge.chroma import get_chroma
from mindbot_tasks.knowledge.ingesting import work_off
from mindbot_tasks.knowledge.lexical import Index
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.tables_knowledge import ChunkRow, DocumentRow

PIECES = 300
_ROOT = Path(__file__).resolve().parents[2]
#: both would take twenty seconds and more, so that nobody has to hit a moment
_SLOW_READER = """
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.knowledge import ingesting
ingesting._PAUSE_S = ingesting._LOOK_EVERY_S = 1.0
ingesting.knowledge_traffic.is_busy = lambda: True
ingesting.work_off(get_settings(), seconds=60)
"""
_SLOW_BUILDER = """
import time
from mindbot_tasks.knowledge import indexing
indexing._AT_ONCE = 20
indexing._Update._sweep = lambda self: time.sleep(3)
indexing.main()
"""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The statements are tested on both databases elsewhere."""
    return sqlite_url


@pytest.fixture
def environment(settings: Settings, chroma_url: str, base: str, tmp_path: Path) -> dict[str, str]:
    """For processes of the same installation."""
    config = tmp_path / "mindbot.yaml"
    config.write_text(f"chromadb: {{url: '{chroma_url}', collection_name: {base}}}\n", encoding="utf-8")
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(_ROOT),
        "MINDBOT_HOME": str(tmp_path),
        "MINDBOT_CONFIG": str(config),
        "MINDBOT_SECRET_KEY": "0" * 32,
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "REDIS_URL": settings.redis_url.get_secret_value(),
        "MINDBOT_BROKER_URL": settings.redis_url.get_secret_value(),
    }


def kill_when(is_time: Callable[[], bool], environment: dict[str, str], *argv: str) -> None:
    """Run it, and kill it as soon as it is time."""
    process = subprocess.Popen([sys.executable, "-c", *argv], env=environment, stdin=subprocess.DEVNULL)
    try:
        ends_at = time.monotonic() + 90
        while not is_time():
            assert process.poll() is None
            assert time.monotonic() < ends_at
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait(10)


def embedded() -> int:
    with reading() as connection:
        return len(connection.execute(select(ChunkRow.id).where(ChunkRow.embedder != "")).all())


def test_nothing_is_missing_and_nothing_is_there_twice(
    settings: Settings, base: str, environment: dict[str, str]
) -> None:
    text = "".join(f"# Rule {number}\n\nRoom {number} has {number} chairs and a lamp.\n\n" for number in range(PIECES))
    with transaction() as connection:
        number, _ = knowledge.add(connection, base, "rules.md", "file", "rules", text.encode())
    kill_when(lambda: embedded() > 0, environment, _SLOW_READER)
    assert 0 < embedded() < PIECES
    with transaction() as connection:  # as after 75 seconds
        connection.execute(update(DocumentRow).where(DocumentRow.id == number).values(due_at=DB_NOW - 1))
    folder = indexing.folder_of(settings.home, base)
    kill_when(lambda: bool(indexing.Manifest.read(folder).segments), environment, _SLOW_BUILDER, base)
    assert indexing.Manifest.read(folder).version == 0  # some of it, as whoever is asked knows
    assert retrieval.search(settings, "chairs of room 7", [base], Deadline(60)).passages
    assert work_off(settings, seconds=60) == 1
    assert indexing.bring_up_to_date(settings.home, base, wait_s=60) == "done"
    with reading() as connection:
        pieces = list(connection.execute(select(ChunkRow.id, ChunkRow.hash)))
    assert len(pieces) == len({one.hash for one in pieces}) == embedded() == PIECES
    assert get_chroma(settings).count(base, Deadline(60)) == PIECES
    near = get_chroma(settings).query(base, [1.0] * 1024, PIECES, Deadline(60))
    assert {one for one, _ in near} <= {one.id for one in pieces}
    index = Index.open(folder)
    assert index.pieces == PIECES
    assert {hit.chunk_id for hit in index.search("chairs lamp", PIECES)} == {one.id for one in pieces}
