"""In which queue the answering of a message waits: with the agent's processes, or with all the others."""

from __future__ import annotations

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import agent, registry
from mindbot_tasks.llm.base import Wishes

GENERATE = "generate"


def generate_queue(settings: Settings, platform: str, bot: str, label: str, confidence: float) -> str:
    """Where `generate` of a message of this kind belongs. A guess that costs nothing: it does not know which model
    somebody has chosen in the conversation, and a message in the wrong place is handed over from there."""
    if not settings.runs_agent:
        return GENERATE
    wanted = settings.bot(platform, bot)
    wishes = Wishes(wanted.model, wanted.system_prompt, tuple(wanted.workflows), tuple(wanted.tools))
    return agent.QUEUE if agent.comes_first(registry.answerers(settings, label, wishes, confidence)) else GENERATE
