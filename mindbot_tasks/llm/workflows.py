"""Turns a workflow of the configuration into a way to answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mindbot_tasks.core.http import Patience
from mindbot_tasks.core.settings import Settings, WorkflowSettings
from mindbot_tasks.core.settings.workflows import is_version
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.limits import workflow_limits

if TYPE_CHECKING:
    from mindbot_tasks.llm.dify.app import Manner
    from mindbot_tasks.llm.dify.pool import Endpoint

_PREFIX = "workflow:"


def workflow_way(settings: Settings, name: str) -> Way | None:
    """None: there is no such workflow, or it is off."""
    workflow = settings.workflows.get(name)
    return None if workflow is None else way_of(settings, name, workflow)


def way_of(settings: Settings, name: str, workflow: WorkflowSettings) -> Way | None:
    """A workflow by its settings, under this name; None: it is off, or nobody gave a key."""
    if not workflow.enabled:
        return None
    from mindbot_tasks.llm.dify.pool import DifyPool

    endpoints = endpoints_of(settings, name, workflow)
    if not endpoints:
        return None
    pool = DifyPool(f"{_PREFIX}{name}", endpoints, workflow.max_retries)
    return Way(pool, workflow.timeout, workflow_limits(name, workflow))


def endpoints_of(settings: Settings, name: str, workflow: WorkflowSettings) -> tuple[Endpoint, ...]:
    """The apps behind a workflow, the one of the workflow itself first; none without a key."""
    from mindbot_tasks.llm.dify.app import DifyApp
    from mindbot_tasks.llm.dify.pool import Endpoint

    made: dict[str, Endpoint] = {}
    own = [("", workflow.dify_endpoint, workflow.dify_api_key, 1.0)]
    more = [
        (each.name, each.endpoint or workflow.dify_endpoint, each.api_key or workflow.dify_api_key, each.weight)
        for each in workflow.endpoints
    ]
    manner = manner_of(settings, workflow)
    for label, endpoint, key, weight in own + more:
        if key is None:
            continue
        label = label or _label(endpoint, key.get_secret_value())
        app = DifyApp(f"{_PREFIX}{name}", endpoint, key, workflow=name, patience=patience_of(settings), manner=manner)
        made.setdefault(label, Endpoint(label, app, weight))
    return tuple(made.values())


def manner_of(settings: Settings, workflow: WorkflowSettings) -> Manner:
    """How to talk with a workflow's apps."""
    from mindbot_tasks.llm.dify.app import Manner

    shared = settings.agent is None or settings.agent.integration.context_sharing
    return Manner(
        mode=workflow.app_mode,
        workflow_id=workflow.workflow_id if is_version(workflow.workflow_id) else "",
        inputs=workflow.inputs,
        text_input=workflow.text_input,
        file_input=workflow.file_input,
        output=workflow.output,
        show_sources=workflow.show_sources,
        history=workflow.send_history if shared or workflow.send_history != "auto" else "never",
    )


def waiting_label(sessions: Mapping[str, str]) -> str:
    """The workflow that waits for what this person says next; "" if none does.

    >>> waiting_label({"workflow:general_chat": "5f6a0e6c-0000-4000-8000-000000000001"})
    ''
    """
    if not any("~" in session_id for session_id in sessions.values()):
        return ""
    from mindbot_tasks.llm.dify.sessions import waiting

    answerer = waiting(sessions)
    return answerer.removeprefix(_PREFIX) if answerer.startswith(_PREFIX) else ""


def patience_of(settings: Settings) -> Patience:
    """How long one call waits for what, as the settings say."""
    return Patience(settings.times.connect_s, settings.times.first_byte_s, settings.times.gap_s)


def _label(endpoint: str, key: str) -> str:
    """Tells endpoints apart as long as they stay the same; says nothing about the key."""
    return hashlib.sha256(f"{endpoint} {key}".encode()).hexdigest()[:10]
