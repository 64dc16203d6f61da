"""What model servers offer to those who search: vectors in OpenAI's and Ollama's format, and reranking in Jina's.

A fault rule `answer` with a number as its text makes vectors of so many numbers.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from emulators import vectors
from emulators.answers import Answer, Call, json_answer
from emulators.faults import Say
from emulators.words import count

_MOST_TEXTS = 2048
_MOST_TOKENS = 8192
_SHORTENED = ("text-embedding-3", "embedding-3")

Refuse = Callable[[int, str, str | None], Answer]
"""(status, message, parameter)"""


def of_openai(call: Call, body: dict[str, Any], refuse: Refuse, delay_s: float) -> Answer:
    """POST /embeddings."""
    model, given = str(body["model"]), body.get("input")
    texts = _texts(given)
    if not texts or not all(texts):
        return refuse(400, "'$.input' is invalid. Please check the API reference.", "input")
    if len(texts) > _MOST_TEXTS:
        return refuse(400, f"Invalid 'input': array too long. Expected at most {_MOST_TEXTS}.", "input")
    if max(map(count, texts)) > _MOST_TOKENS:
        return refuse(400, f"This model's maximum context length is {_MOST_TOKENS} tokens.", "input")
    wanted = body.get("dimensions")
    if wanted is not None and (not model.startswith(_SHORTENED) or not isinstance(wanted, int) or wanted < 1):
        return refuse(400, "This model does not support specifying dimensions.", "dimensions")
    size = _size(call, model, wanted)
    as_text = body.get("encoding_format") == "base64"
    data = []
    for place, text in enumerate(texts):
        numbers = vectors.vector(text, model, size)
        told = base64.b64encode(vectors.packed(numbers)).decode() if as_text else numbers
        data.append({"object": "embedding", "index": place, "embedding": told})
    tokens = sum(map(count, texts))
    return json_answer(
        {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}},
        facts={"model": model, "texts": len(texts), "dimension": size, "text": texts[0]}, delay_s=delay_s,
    )  # fmt: skip


def of_ollama(call: Call, body: dict[str, Any], refuse: Refuse, delay_s: float) -> Answer:
    """POST /api/embed."""
    model, texts = str(body["model"]), _texts(body.get("input"))
    wanted = body.get("dimensions")
    size = _size(call, model, wanted if isinstance(wanted, int) and wanted > 0 else None)
    if any(count(text) > _MOST_TOKENS for text in texts) and body.get("truncate") is False:
        return refuse(400, "input length exceeds maximum context length", None)
    return json_answer(
        {
            "model": model, "embeddings": [vectors.vector(text, model, size) for text in texts],
            "total_duration": 5_000_000, "load_duration": 1_000_000, "prompt_eval_count": sum(map(count, texts)),
        },
        facts={"model": model, "texts": len(texts), "dimension": size, "text": texts[0] if texts else ""},
        delay_s=delay_s,
    )  # fmt: skip


def rerank(call: Call, body: dict[str, Any], refuse: Refuse, delay_s: float) -> Answer:
    """POST /rerank, as Jina, Cohere and vLLM have it."""
    query, documents = body.get("query"), body.get("documents")
    if not isinstance(query, str) or not query:
        return refuse(422, "query is required", "query")
    if not isinstance(documents, list) or not documents:
        return refuse(422, "documents is required", "documents")
    texts = [str(one.get("text", "")) if isinstance(one, dict) else str(one) for one in documents]
    scores = sorted(((vectors.likeness(query, text), -place) for place, text in enumerate(texts)), reverse=True)
    most = body.get("top_n")
    results = [
        {"index": -place, "relevance_score": round(score, 6), "document": {"text": texts[-place]}}
        for score, place in scores[: most if isinstance(most, int) and most > 0 else len(scores)]
    ]
    tokens = sum(map(count, texts)) + count(query)
    return json_answer(
        {"id": "rerank-1", "model": body.get("model"), "results": results, "usage": {"total_tokens": tokens}},
        facts={"model": body.get("model"), "texts": len(texts), "text": query}, delay_s=delay_s,
    )  # fmt: skip


def _texts(given: Any) -> list[str]:
    """A text, several, or the same as numbers of tokens."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Sequence):
        return []
    if given and all(isinstance(one, int) for one in given):
        return [" ".join(map(str, given))]
    return [one if isinstance(one, str) else " ".join(map(str, one)) for one in given if isinstance(one, str | list)]


def _size(call: Call, model: str, wanted: int | None) -> int:
    if isinstance(call.fault, Say) and call.fault.text.isdigit():
        return max(1, int(call.fault.text))
    return wanted or vectors.dimension_of(model)
