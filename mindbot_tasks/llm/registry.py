"""Which ways to answer a kind of message has, in their order, as the settings say."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mindbot_tasks.core.settings import AgentSettings, AgentWorkflowsSettings, Settings
from mindbot_tasks.llm import routing, selection
from mindbot_tasks.llm.agent import NAME as AGENT
from mindbot_tasks.llm.agent import agent_way
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.llm.building import provider_way
from mindbot_tasks.llm.catalogue import first_choice, kind_of, models_called, price_of, provider_order
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.variants import divided, variant_of, variant_way
from mindbot_tasks.llm.workflows import workflow_way
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.model.message import JSON
from mindbot_tasks.stores import performance

GENERAL = "general_chat"
"""The workflow for what fits no other; it also helps out when another one is down."""

_NO_WISHES = Wishes()
_NO_AGENT, _NO_WORKFLOWS = AgentSettings(), AgentWorkflowsSettings()


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a message, in which order, and why."""

    ways: Sequence[Way]
    strategy: routing.Strategy
    sure: bool  #: the classification is trusted
    variant: str = ""  #: of the workflow's experiment: "code_analysis/b"
    variant_answerer: str = ""  #: who answers for it
    sick: tuple[str, ...] = ()  #: answerers that went behind the others because they fail too often
    probed: tuple[str, ...] = ()  #: sick ones that were left in their place, to see whether they are well again

    @property
    def has_agent(self) -> bool:
        return any(way.answerer.name == AGENT for way in self.ways)

    def described(self) -> dict[str, JSON]:
        """For the details of an answer, in debug mode."""
        return {
            "strategy": self.strategy,
            "sure": self.sure,
            "variant": self.variant,
            "order": [way.answerer.name for way in self.ways],
            "sick": list(self.sick),
            "probed": list(self.probed),
        }


@dataclass(frozen=True, slots=True)
class _Known:
    """The ways for one label, wish and variant; only the order of some changes from message to message."""

    ways: routing.Ways[Way]
    models: Mapping[str, Way]  #: by provider, in the order of the configuration
    watched: tuple[str, ...]  #: workflows of which somebody must know whether they are sick


def route(
    settings: Settings,
    kind: Classification,
    wishes: Wishes = _NO_WISHES,
    person: str = "",
    *,
    waiting: str = "",
    turn: int | None = None,
    probing: bool = True,
) -> Route:
    """The ways to answer a message of this kind, best first, as `agent.workflows.routing_strategy` says.

    person: decides on the variant of a workflow that has some. waiting: a workflow that waits for what this person says
    next; it gets to hear it, whatever the words look like and the strategy says. turn: whose turn it is with
    `round_robin`, the number of the message, so that all processes deal out from the same pack; None: some turn. A
    model that was asked for by name goes before everything else. probing: False leaves every sick workflow behind the
    others, also when it would be this message's turn to try one. Only when there is no way: the offline answerer.
    """
    label, variant = divided(settings, waiting) if waiting else (kind.label, "")
    variant = variant or variant_of(settings, label, person)
    known = _known(settings, label, wishes, variant)
    flows = (settings.agent.workflows if settings.agent else None) or _NO_WORKFLOWS
    together = (settings.agent or _NO_AGENT).integration
    judged = together.performance_tracking and not waiting
    sick, probed = _sick(settings, known.watched, probing=probing) if judged else ((), ())
    ways = known.ways
    if len(known.models) > 1:
        ways = routing.Ways(
            ways.chosen, ways.workflow, ways.agent, ways.basic,
            [known.models[name] for name in _arranged(settings, known.models, turn)], ways.general,
        )  # fmt: skip
    # that a message is general chat says only that no workflow is made for it
    sure = bool(waiting) or (label != GENERAL and routing.is_sure(kind.confidence, flows.confidence_threshold))
    strategy = "workflow-first" if waiting else flows.routing_strategy
    order = routing.arrange(
        ways,
        strategy,
        sure=sure,
        is_sick=lambda way: way.answerer.name in sick,
        fallback=flows.fallback_enabled and together.fallback_enabled,
    )
    named = f"{label}/{variant}" if variant and ways.workflow is not None else ""
    by = ways.workflow.answerer.name if named and ways.workflow is not None else ""
    return Route(order or (_offline(),), strategy, sure, named, by, sick, probed)


def answerers(settings: Settings, label: str, wishes: Wishes = _NO_WISHES, confidence: float = 1.0) -> Sequence[Way]:
    """The ways of `route` for a label alone."""
    return route(settings, Classification(label, confidence, ""), wishes).ways


_built: tuple[Settings, dict[tuple[str, Wishes, str], _Known]] | None = None
_turns = itertools.count(random.randrange(1000))  # noqa: S311 - so that not all processes begin with the same one


def _known(settings: Settings, label: str, wishes: Wishes, variant: str) -> _Known:
    """Built once for each label, wish and variant, as long as the settings stay."""
    global _built
    if _built is None or _built[0] is not settings:
        _built = (settings, {})
    known = _built[1]
    ways = known.get((label, wishes, variant))
    if ways is None:
        ways = _ways(settings, label, wishes, variant)
        if len(known) > 200:
            known.clear()
        known[label, wishes, variant] = ways
    return ways


def _sick(settings: Settings, watched: Sequence[str], *, probing: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Who goes behind the others, and who is tried all the same."""
    if not watched:
        return (), ()
    seen = performance.seen(watched, threshold=settings.provider_selection.performance_threshold)
    sick = [name for name in watched if name in seen and seen[name].sick]
    probed = tuple(name for name in sick if probing and random.random() < routing.PROBES)  # noqa: S311 - nothing secret
    return tuple(name for name in sick if name not in probed), probed


def _arranged(settings: Settings, models: Mapping[str, Way], turn: int | None) -> Sequence[str]:
    wanted = settings.provider_selection
    if wanted.strategy == "ordered" and not wanted.cost_optimization:
        return list(models)
    seen = performance.seen([f"provider:{name}" for name in models])
    candidates = [
        selection.Candidate(
            name,
            settings.providers[name].weight,
            price_of(settings, name),
            seen.get(f"provider:{name}", performance.Seen()),
        )
        for name in models
    ]
    return selection.arrange(
        candidates,
        wanted.strategy,
        threshold=wanted.performance_threshold,
        cheapest=wanted.cost_optimization,
        turn=next(_turns) if turn is None else turn,
        chance=random.random,
    )


def _ways(settings: Settings, label: str, wishes: Wishes, variant: str) -> _Known:
    prompt = wishes.system_prompt
    wanted = models_called(settings, wishes.model)[:1] if wishes.model else []
    chosen = [provider_way(settings, *name.split("/", 1), prompt=prompt) for name in wanted]
    workflow = None
    if _may_use(label, wishes):
        workflow = variant_way(settings, label, variant) if variant else None
        workflow = workflow or workflow_way(settings, label)
    models = {
        name: way
        for name in provider_order(settings)
        if first_choice(settings, name) not in wanted
        and (way := provider_way(settings, name, prompt=prompt)) is not None
    }
    basic = [way for name, way in models.items() if kind_of(name, settings.providers[name]) == "dify"]
    general = workflow_way(settings, GENERAL) if label != GENERAL and _may_use(GENERAL, wishes) else None
    if general is not None and workflow is not None and general.answerer.name == workflow.answerer.name:
        general = None  # a variant may be the general workflow
    ways = routing.Ways(
        [way for way in chosen if way is not None],
        workflow,
        agent_way(settings, wishes),
        basic,
        list(models.values()),
        general,
    )
    others = len(ways.chosen) + len(models) + (ways.agent is not None)
    flows = [way.answerer.name for way in (workflow, general) if way is not None]
    return _Known(ways, models, tuple(flows) if others + len(flows) > 1 else ())


def _offline() -> Way:
    from mindbot_tasks.llm.offline import Offline

    return Way(Offline(), timeout_s=5, guarded=False)


def _may_use(workflow: str, wishes: Wishes) -> bool:
    return not wishes.workflows or workflow in wishes.workflows
