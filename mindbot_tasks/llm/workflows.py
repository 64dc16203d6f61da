"""Turns a workflow of the configuration into a way to answer."""

from __future__ import annotations

from mindbot_tasks.core.http import Patience
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.fallback import Way


def workflow_way(settings: Settings, name: str) -> Way | None:
    """None: there is no such workflow, or it is off."""
    workflow = settings.workflows.get(name)
    if workflow is None or not workflow.enabled or workflow.dify_api_key is None:
        return None
    from mindbot_tasks.llm.dify import DifyApp

    app = DifyApp(
        f"workflow:{name}", workflow.dify_endpoint, workflow.dify_api_key, workflow=name, patience=patience_of(settings)
    )
    return Way(app, workflow.timeout)


def patience_of(settings: Settings) -> Patience:
    """How long one call waits for what, as the settings say."""
    return Patience(settings.times.connect_s, settings.times.first_byte_s, settings.times.gap_s)
