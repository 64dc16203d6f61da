"""The agent: a model that uses tools. Nothing here loads LangChain before somebody is answered in a process for that.

An agent's process is one that serves the queue `agent`, or one that is no worker at all, such as a test's.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import BelongsElsewhere
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.settings.agent import WITHOUT_TOOLS, LangchainSettings
from mindbot_tasks.llm.agent import consent
from mindbot_tasks.llm.base import Attachment, OnText, Question, Spoken, Wishes
from mindbot_tasks.llm.catalogue import kind_of, why_not
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.stores import confirmations
from mindbot_tasks.stores.database import reading

QUEUE = "agent"
NAME = "agent"

_NO_WISHES = Wishes()

_served_here = True


def serve(here: bool) -> None:
    """Whether this process runs agents; said once, when a worker knows its queues."""
    global _served_here
    _served_here = here


def is_served_here() -> bool:
    return _served_here


def preload(settings: Settings) -> None:
    """Load now what the first question would have to wait for, some seconds of work."""
    if providers_of(settings):
        from mindbot_tasks.llm.agent import running

        running.preload(settings)


def preload_others(settings: Settings) -> threading.Thread | None:
    """Meanwhile load what a failover to another vendor would have to wait for; None: there is no other vendor."""
    if len(providers_of(settings)) < 2:
        return None
    from mindbot_tasks.llm.agent import running

    loading = threading.Thread(target=running.preload_others, args=(settings,), name="preload", daemon=True)
    loading.start()
    return loading


def stop() -> None:
    """End what this process has started for its tools."""
    servers = sys.modules.get("mindbot_tasks.llm.agent.tools.servers")
    if servers is not None:
        servers.stop()


def wanted(settings: Settings) -> LangchainSettings | None:
    """The settings of the agent, if it is on."""
    return settings.agent.langchain if settings.agent is not None else None


def providers_of(settings: Settings) -> list[str]:
    """Whose models the agent may use, in the order in which it asks them: those that exist and take tools."""
    chain = wanted(settings)
    if chain is None:
        return []
    named = [name for name in (chain.primary_provider, *chain.fallback_providers) if name]
    if not chain.primary_provider:
        named = [*named, *settings.provider_selection.fallback_order, *settings.providers]
    return [name for name in dict.fromkeys(named) if _can_use_tools(settings, name)]


def _can_use_tools(settings: Settings, name: str) -> bool:
    provider = settings.providers.get(name)
    if provider is None or not provider.enabled or kind_of(name, provider) in WITHOUT_TOOLS:
        return False
    return not why_not(name, provider)


def agent_way(settings: Settings, wishes: Wishes = _NO_WISHES) -> Way | None:
    """The agent as one way to answer; None when it is off or has no model.

    It fails over between its providers by itself, each with its breaker and its limits, so it needs none of its own.
    """
    chain = wanted(settings)
    if chain is None or not providers_of(settings):
        return None
    return Way(Agent(settings, wishes), chain.timeout, guarded=False)


def comes_first(ways: Sequence[Way]) -> bool:
    """Whether the agent is asked before all others."""
    return bool(ways) and isinstance(ways[0].answerer, Agent)


def check_place(ways: Sequence[Way]) -> None:
    """Return if the first of these can be asked in this process. Raises BelongsElsewhere."""
    if not _served_here and comes_first(ways):
        raise BelongsElsewhere(QUEUE)


def confirming(settings: Settings, wishes: Wishes, question: Question) -> Way | None:
    """The agent, when this message is the "yes" to what it has asked for; None for all others.

    Only a message that is nothing but a yes costs a look into the ledger, and only where there is an agent.
    """
    if not settings.runs_agent or not consent.is_yes(question.text):
        return None
    with reading() as connection:
        if confirmations.waiting(connection, question.message_id) is None:
            return None
    return agent_way(settings, wishes)


def agent_first(ways: Sequence[Way]) -> list[Way]:
    """The same ways with the agent before the others: for a message that was handed to the agent's processes."""
    return sorted(ways, key=lambda way: not isinstance(way.answerer, Agent))


class Agent:
    """Answers with a model and its tools; all that is heavy is loaded when the first question comes."""

    name = NAME
    notes_calls = True  #: what each of its calls costs is counted where it is made

    def __init__(self, settings: Settings, wishes: Wishes = _NO_WISHES) -> None:
        self.settings = settings
        self.wishes = wishes

    def takes(self, attachment: Attachment) -> bool:
        """Pictures, if the first model sees."""
        from mindbot_tasks.llm.agent import models

        return models.sees(self.settings, attachment)

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer, before the deadline. Raises Rejected, Throttled, Unavailable or a Stopped; BelongsElsewhere in a
        process that does not run agents."""
        if not _served_here:
            raise BelongsElsewhere(QUEUE)
        from mindbot_tasks.llm.agent import running

        return running.answer(self.settings, self.wishes, question, deadline, on_text)
