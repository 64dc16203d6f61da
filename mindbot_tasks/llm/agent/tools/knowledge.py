"""The tool `knowledge_search`: a seam; whoever can search the knowledge base plugs in a function here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.llm.agent.tools.base import Call, Tool, arguments
from mindbot_tasks.llm.base import Question

KnowledgeSearch: TypeAlias = Callable[[str, Question, Deadline], str]
"""(query, question, deadline) -> the passages with their sources, as text; "" when there are none."""

_search: KnowledgeSearch | None = None


def plug(search: KnowledgeSearch | None) -> None:
    """What to search with; None: there is no knowledge base."""
    global _search
    _search = search


def tool() -> Tool | None:
    """None: nothing is plugged in."""
    if _search is None:
        return None
    search = _search

    def run(given: Mapping[str, Any], call: Call) -> str:
        return search(str(given["query"]), call.question, call.deadline) or "nothing was found"

    return Tool(
        name="knowledge_search",
        description="Searches the documents of this company and returns passages with their sources.",
        schema=arguments(
            {"query": {"type": "string", "description": "what to look for", "minLength": 1, "maxLength": 1000}},
            required=("query",),
        ),
        run=run,
        outside=True,
    )
