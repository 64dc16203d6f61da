"""Which workflows the classifier is measured with: those of the configuration, and what examples name beside them."""

from __future__ import annotations

from collections.abc import Iterable

from mindbot_tasks.chat.learned.model import FOLLOW_UP
from mindbot_tasks.core.settings import Settings, WorkflowSettings


def with_labels(settings: Settings, labels: Iterable[str]) -> dict[str, WorkflowSettings]:
    """The configured workflows, and one without patterns for each label that none of them has."""
    workflows = dict(settings.workflows)
    for label in labels:
        if label != FOLLOW_UP:
            workflows.setdefault(label, WorkflowSettings())
    return workflows
