"""The tools of the group `dify_chat`: each workflow of the configuration as one tool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import fallback
from mindbot_tasks.llm.agent.tools.base import Call, Tool, ToolFailed, arguments
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.llm.workflows import workflow_way

GROUP = "dify_chat"


def tools(settings: Settings, wishes: Wishes) -> list[Tool]:
    """One for each workflow that is on and that the bot may use."""
    return [
        _tool(settings, name)
        for name in settings.workflows
        if (not wishes.workflows or name in wishes.workflows) and workflow_way(settings, name) is not None
    ]


def _tool(settings: Settings, name: str) -> Tool:
    way = workflow_way(settings, name)
    assert way is not None  # noqa: S101 - `tools` has looked
    about = str(getattr(settings.workflows[name], "description", "") or "")

    def run(given: Mapping[str, Any], call: Call) -> str:
        # a conversation of its own with the workflow: what it remembers belongs to its own turns
        asked = replace(call.question, text=str(given["query"]), history=(), session_id="", attachments=())
        return fallback.answer([way], asked, {}, call.deadline, lambda _text: None, purpose="agent").answer.text

    said = f"Asks the workflow '{name}' of this company{f': {about}' if about else ''}. It does not see the chat."
    return Tool(
        name=f"dify_{safe(name)}",
        description=said,
        schema=arguments(
            {"query": {"type": "string", "description": "the whole question", "minLength": 1, "maxLength": 8000}},
            required=("query",),
        ),
        run=run,
        group=GROUP,
        timeout_s=settings.workflows[name].timeout,
        outside=True,
    )


def safe(name: str) -> str:
    """A name that every vendor takes as a part of a tool's name."""
    found = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")
    if not found:
        raise ToolFailed("a name needs letters or digits of ASCII")
    return found[:50]
