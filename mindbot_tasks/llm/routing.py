"""Who is asked first for a kind of message: the strategies of `agent.workflows.routing_strategy`. Pure.

| strategy         | order                                                            |
| ---------------- | ---------------------------------------------------------------- |
| `tool-first`     | the agent, the workflow, basic Dify, the other models, the general workflow |
| `workflow-first` | the workflow, the agent, basic Dify, the other models, the general workflow |
| `hybrid`         | as `workflow-first` where the classification is sure, else as `tool-first`  |

General chat is never sure: it says only that no workflow is made for the message.
A model that somebody asked for by name goes before them all. Without an agent every strategy begins with the workflow,
and basic Dify (`providers.dify`) stands where the configuration has it: it comes early behind an agent only, whose own
model has just failed. Whoever is sick goes behind all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Strategy = Literal["tool-first", "workflow-first", "hybrid"]
T = TypeVar("T")

#: share of the messages that a demoted workflow is still given first, to see whether it is well again
PROBES = 0.1


@dataclass(frozen=True, slots=True)
class Ways(Generic[T]):
    """Everything that can answer one kind of message, by what it is."""

    chosen: Sequence[T] = ()  #: models that were asked for by name
    workflow: T | None = None  #: of this kind of message
    agent: T | None = None
    basic: Sequence[T] = ()  #: Dify without a workflow of its own; in `models` too, where the configuration has them
    models: Sequence[T] = ()  #: chat models, in the order of `provider_selection`
    general: T | None = None  #: the workflow for everything, when it is not `workflow`


def begins_with_workflow(strategy: Strategy, *, sure: bool) -> bool:
    """Whether the workflow goes before the agent."""
    return strategy == "workflow-first" or (strategy == "hybrid" and sure)


def is_sure(confidence: float, threshold: float) -> bool:
    """Whether `hybrid` trusts the classification."""
    return confidence >= threshold


def arrange(
    ways: Ways[T],
    strategy: Strategy,
    *,
    sure: bool,
    is_sick: Callable[[T], bool] = lambda _way: False,
    fallback: bool = True,
) -> list[T]:
    """The ways in the order in which to ask. fallback: False leaves the first one alone."""
    pair = [ways.workflow, ways.agent]
    if not begins_with_workflow(strategy, sure=sure):
        pair.reverse()
    models = list(ways.models)
    if ways.agent is not None:
        early = [way for way in models if way in ways.basic]
        models = [*early, *(way for way in models if way not in ways.basic)]
    order = [*ways.chosen, *(way for way in pair if way is not None), *models]
    if ways.general is not None:
        order.append(ways.general)
    well = [way for way in order if not is_sick(way)]
    order = [*well, *(way for way in order if is_sick(way))] if len(well) < len(order) else order
    return order if fallback else order[:1]


def assigned(weights: Mapping[str, float], person: str, salt: str) -> str:
    """Which variant of an experiment a person gets: always the same while names, weights and salt stay.

    The hash spreads people evenly over 0 to 1, and the variants divide that span by their weights in the order of
    their names, so that the order in the file does not matter. "" when no weight is above 0. `salt` is the name of the
    experiment: another one deals people out anew.
    """
    total = sum(weights.values())
    if total <= 0:
        return ""
    digest = hashlib.blake2b(f"{salt}\x1f{person}".encode("utf-8", "replace"), digest_size=8).digest()
    place = int.from_bytes(digest) / 2**64 * total
    for name in sorted(weights):
        place -= weights[name]
        if place < 0:
            return name
    return max(name for name in weights if weights[name] > 0)  # what rounding left over
