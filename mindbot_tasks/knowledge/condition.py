"""Whether all that was read can be found now, and by which means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.knowledge.chroma import get_chroma
from mindbot_tasks.knowledge.embedding import embedder_of
from mindbot_tasks.stores import knowledge, knowledge_chunks
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.knowledge_state import KnowledgeState

_CALL_S = 2.0


def of_other_models(settings: Settings) -> list[str]:
    """The bases whose vectors are of another model than the one that is configured. Raises DatabaseUnavailable."""
    with reading() as connection:
        return _others(settings, knowledge.bases(connection))


def _others(settings: Settings, bases: Mapping[str, Any]) -> list[str]:
    embedder = embedder_of(settings)
    return sorted(name for name, row in bases.items() if embedder and row.embedder not in ("", embedder.id))


def look(settings: Settings) -> KnowledgeState:
    """Raises DatabaseUnavailable."""
    with reading() as connection:
        bases = knowledge.bases(connection)
        pieces, vectors = knowledge_chunks.totals(connection)
        waiting, failed = knowledge.waiting_and_failed(connection)
    embedder = embedder_of(settings)
    others = _others(settings, bases)
    reason = ""
    if embedder is None:
        reason = "nobody makes vectors: documents are found by words only"
    elif not get_chroma(settings).is_up(Deadline(_CALL_S)):
        reason = "the vector store does not answer: documents are found by words only"
    elif others:
        reason = f"the vectors of {', '.join(others)} are of another model: run `mindbot kb reindex`"
    elif vectors < pieces and not waiting:
        reason = f"{pieces - vectors} pieces have no vectors yet"
    return KnowledgeState(not reason, reason or "answers", pieces, waiting, failed)
