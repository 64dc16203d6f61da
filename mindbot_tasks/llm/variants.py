"""The variants of a workflow: which one a person gets, and how it answers."""

from __future__ import annotations

from typing import Any

from mindbot_tasks.core.settings import Settings, WorkflowSettings
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.routing import assigned
from mindbot_tasks.llm.workflows import way_of, workflow_way


def variant_of(settings: Settings, workflow: str, person: str) -> str:
    """The name of the variant that this person gets; "" where there is no experiment, or nobody is known."""
    found = settings.workflows.get(workflow)
    if found is None or not found.variants or not person:
        return ""
    weights = {name: variant.weight for name, variant in found.variants.items()}
    return assigned(weights, person, found.experiment or workflow)


def variant_way(settings: Settings, workflow: str, variant: str) -> Way | None:
    """How a variant answers; None: its workflow is off, and the variant with it.

    One with an app of its own is a workflow of its own to everything below: it has its own breaker, remote
    conversations and figures, as "workflow:code_analysis/b".
    """
    base = settings.workflows[workflow]
    one = base.variants[variant]
    if one.workflow:
        return workflow_way(settings, one.workflow)
    if one.is_control:
        return workflow_way(settings, workflow)
    changed = own_app(base, variant)
    return way_of(settings, f"{workflow}/{variant}", changed) if changed is not None else None


def own_app(base: WorkflowSettings, variant: str) -> WorkflowSettings | None:
    """The workflow with the app of a variant; None: the variant has none of its own."""
    one = base.variants[variant]
    if one.workflow or one.is_control:
        return None
    changes: dict[str, Any] = {
        "dify_endpoint": one.dify_endpoint or base.dify_endpoint,
        "dify_api_key": one.dify_api_key or base.dify_api_key,
        "endpoints": [],  # those are other addresses of the workflow's own app
    }
    return base.model_copy(update=changes)


def divided(settings: Settings, name: str) -> tuple[str, str]:
    """A workflow and the variant as which it has an app of its own: "code_analysis/b" is ("code_analysis", "b")."""
    workflow, _, variant = name.rpartition("/")
    if name not in settings.workflows and workflow in settings.workflows:
        return workflow, variant if variant in settings.workflows[workflow].variants else ""
    return name, ""


def supposed(settings: Settings, label: str, person: str) -> tuple[str, str]:
    """Whose work a message of this kind would have been, and as which variant; ("", "") without a workflow."""
    if label not in settings.workflows:
        return "", ""
    variant = variant_of(settings, label, person)
    if not variant:
        return f"workflow:{label}", ""
    one = settings.workflows[label].variants[variant]
    named = f"{label}/{variant}"
    return f"workflow:{one.workflow or (label if one.is_control else named)}", named
