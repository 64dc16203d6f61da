"""One answer of the agent, from the question to the words."""

from __future__ import annotations

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.base import OnText, Question, Spoken, Wishes


def answer(settings: Settings, wishes: Wishes, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
    """Answer with a model and its tools."""
    raise Rejected("the agent is not there yet", kind="not_found", provider="agent")
