"""Which models the agent uses."""

from __future__ import annotations

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.base import Attachment


def sees(settings: Settings, attachment: Attachment) -> bool:
    """Whether the first model that the agent asks may look at this file."""
    return False
