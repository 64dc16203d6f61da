"""Who looks after the knowledge base tells how it is, and the doors repeat it."""

from __future__ import annotations

import pytest

from mindbot_tasks.app import app
from mindbot_tasks.core.settings import ChromaSettings, Settings
from mindbot_tasks.knowledge import condition
from mindbot_tasks.knowledge.embedding import Offline
from mindbot_tasks.stores import knowledge, knowledge_state
from mindbot_tasks.stores.database import transaction
from mindbot_tasks.stores.knowledge_state import KnowledgeState
from mindbot_tasks.tend import tend
from tests.knowledge.conftest import Configure, read

TEXT = "# Leave\n\nEverybody has thirty days of holiday.\n"


def test_what_is_told_is_what_holds(
    configure: Configure, settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert condition.look(settings) == KnowledgeState(True, "answers")
    read(settings, base, "leave.md", TEXT)
    read(settings, base, "broken.pdf", "%PDF-1.4 nothing")
    with transaction() as connection:
        knowledge.add(connection, base, "later.md", "file", "later", TEXT.encode())
    assert condition.look(settings) == KnowledgeState(True, "answers", pieces=1, waiting=1, failed=1)
    monkeypatch.setattr(condition, "embedder_of", lambda _: Offline(id="other/8"))
    assert f"the vectors of {base} are of another model" in condition.look(settings).reason
    down = configure(chromadb=ChromaSettings(url="http://127.0.0.1:9", collection_name=base))
    told = condition.look(down)
    assert (told.ok, told.reason) == (False, "the vector store does not answer: documents are found by words only")


def test_tending_tells_it_to_the_doors(settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "send_task", lambda *_, **__: None)
    assert knowledge_state.read() == KnowledgeState(False, "nobody looks after it")
    read(settings, base, "leave.md", TEXT)
    tend()
    assert knowledge_state.read() == KnowledgeState(True, "answers", pieces=1)
