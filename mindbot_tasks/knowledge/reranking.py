"""An optional second look at passages by a model that reads question and passage together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.http import get_http, refuse
from mindbot_tasks.core.settings import ChromaSettings
from mindbot_tasks.model.knowledge import Passage

log = structlog.get_logger(__name__)


def reranked(wanted: ChromaSettings, question: str, passages: Sequence[Passage], deadline: Deadline) -> list[Passage]:
    """In the order of the rerank server; in their own where none is configured, or it does not answer in time."""
    if not wanted.rerank_url or len(passages) < 2:
        return list(passages)
    key = wanted.rerank_api_key
    try:
        response = get_http().request(
            "POST",
            wanted.rerank_url,
            deadline=deadline,
            provider="rerank",
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {},
            json={
                "model": wanted.rerank_model,
                "query": question,
                "documents": [passage.text for passage in passages],
                "top_n": len(passages),
            },
        )
        if not response.ok:
            refuse(response)
        order = [(int(one["index"]), float(one["relevance_score"])) for one in response.json()["results"]]
    except FarSideError as exc:
        log.warning("not_reranked", kind=exc.kind, status=exc.status)
        return list(passages)
    except (KeyError, TypeError, ValueError):
        log.warning("not_reranked", kind="protocol")
        return list(passages)
    best = sorted((one for one in order if 0 <= one[0] < len(passages)), key=lambda one: -one[1])
    named = dict.fromkeys(index for index, _ in best)
    scores = dict(best)
    first = [replace(passages[index], score=max(0.0, min(1.0, scores[index]))) for index in named]
    return first + [passage for index, passage in enumerate(passages) if index not in named]
