"""Dify's addresses: people configure the base, or the call that their app is for. Pure."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote, urlsplit

Family = Literal["chat", "completion", "workflow"]
"""Apps that are called alike: chat apps, agents and chatflows are one."""

DEFAULT_ENDPOINT = "https://api.dify.ai/v1"

CALLS: dict[Family, str] = {
    "chat": "/chat-messages",
    "completion": "/completion-messages",
    "workflow": "/workflows/run",
}
_MODES: dict[str, Family] = {
    "chat": "chat",
    "agent": "chat",
    "agent-chat": "chat",
    "chatflow": "chat",
    "advanced-chat": "chat",
    "completion": "completion",
    "workflow": "workflow",
}


def base_of(endpoint: str) -> str:
    """ "https://host/v1", whichever address was configured.

    >>> base_of("https://d.example"), base_of("https://d.example/v1/workflows/run")
    ('https://d.example/v1', 'https://d.example/v1')
    """
    base = endpoint.rstrip("/")
    for call in CALLS.values():
        base = base.removesuffix(call)
    return f"{base}{'' if urlsplit(base).path else '/v1'}"


def family_in(endpoint: str) -> Family | None:
    """What the configured address is for; None: it is a base address."""
    return next((family for family, call in CALLS.items() if endpoint.rstrip("/").endswith(call)), None)


def family_of(mode: str) -> Family | None:
    """How an app of this mode is called; by our names and by Dify's. None: "" or "auto", or nobody knows it."""
    return _MODES.get(mode)


def stop_path(family: Family, task_id: str) -> str:
    task = quote(task_id, safe="")
    return f"/workflows/tasks/{task}/stop" if family == "workflow" else f"{CALLS[family]}/{task}/stop"
