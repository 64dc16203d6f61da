"""Which ways to answer a kind of message has, in their order, as the settings say."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm import selection
from mindbot_tasks.llm.agent import agent_way
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.llm.building import provider_way
from mindbot_tasks.llm.catalogue import first_model, models_called, price_of, provider_order
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.workflows import workflow_way
from mindbot_tasks.stores import performance

GENERAL = "general_chat"
"""The workflow for what fits no other; it also helps out when another one is down."""

_NO_WISHES = Wishes()


@dataclass(frozen=True, slots=True)
class _Ways:
    """The ways for one label; only the providers in the middle change their order from message to message."""

    before: tuple[Way, ...]
    providers: Mapping[str, Way]  #: by name, in the order of the configuration
    after: tuple[Way, ...]


def answerers(settings: Settings, label: str, wishes: Wishes = _NO_WISHES) -> Sequence[Way]:
    """The ways to answer a message of this kind, best first: its workflow, the chat models, the general workflow.

    A model that was asked for by name goes before them all. Only when none of them exists: the offline answerer. Built
    once for each label and wish, as long as the settings stay; the
    order of the chat models follows `provider_selection`.
    """
    global _built
    if _built is None or _built[0] is not settings:
        _built = (settings, {})
    known = _built[1]
    ways = known.get((label, wishes))
    if ways is None:
        ways = _ways(settings, label, wishes)
        if len(known) > 200:
            known.clear()
        known[label, wishes] = ways
    return (*ways.before, *(ways.providers[name] for name in _arranged(settings, ways.providers)), *ways.after)


_built: tuple[Settings, dict[tuple[str, Wishes], _Ways]] | None = None
_turns = itertools.count(random.randrange(1000))  # noqa: S311 - so that not all processes begin with the same one


def _arranged(settings: Settings, providers: Mapping[str, Way]) -> Sequence[str]:
    wanted = settings.provider_selection
    if len(providers) < 2 or (wanted.strategy == "ordered" and not wanted.cost_optimization):
        return list(providers)
    seen = performance.seen([f"provider:{name}" for name in providers])
    candidates = [
        selection.Candidate(
            name,
            settings.providers[name].weight,
            price_of(settings, name),
            seen.get(f"provider:{name}", performance.Seen()),
        )
        for name in providers
    ]
    return selection.arrange(
        candidates,
        wanted.strategy,
        threshold=wanted.performance_threshold,
        cheapest=wanted.cost_optimization,
        turn=next(_turns),
        chance=random.random,
    )


def _ways(settings: Settings, label: str, wishes: Wishes) -> _Ways:
    prompt = wishes.system_prompt
    wanted = models_called(settings, wishes.model)[:1] if wishes.model else []
    chosen = [provider_way(settings, *name.split("/", 1), prompt=prompt) for name in wanted]
    workflow = workflow_way(settings, label) if _may_use(label, wishes) else None
    providers = {
        name: way
        for name in provider_order(settings)
        if f"{name}/{first_model(settings, name)}" not in wanted
        and (way := provider_way(settings, name, prompt=prompt)) is not None
    }
    with_tools = agent_way(settings, wishes)
    general = workflow_way(settings, GENERAL) if label != GENERAL and _may_use(GENERAL, wishes) else None
    before = tuple(way for way in (*chosen, workflow, with_tools) if way is not None)
    after = (general,) if general is not None else ()
    if not (before or providers or after):
        from mindbot_tasks.llm.offline import Offline

        after = (Way(Offline(), timeout_s=5, guarded=False),)
    return _Ways(before, providers, after)


def _may_use(workflow: str, wishes: Wishes) -> bool:
    return not wishes.workflows or workflow in wishes.workflows
