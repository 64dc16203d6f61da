"""Who answers when most of a day's budget is used: a cheaper model first."""

from __future__ import annotations

from collections.abc import Sequence

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.llm.building import provider_way
from mindbot_tasks.llm.catalogue import models, models_called, price_of_model
from mindbot_tasks.llm.fallback import Way

_WORKFLOW = "workflow:"


def cheaper_model(settings: Settings) -> str:
    """As "provider/model": the configured one, else the one with the lowest price; "" if no price is known."""
    if wanted := settings.budgets.cheaper_model:
        return next(iter(models_called(settings, wanted)), "")
    priced = []
    for name in models(settings):
        price = price_of_model(settings, *name.split("/", 1))
        if price is not None:
            priced.append((price.input + price.output / 4, name))
    return min(priced)[1] if priced else ""


def cheaper_first(settings: Settings, ways: Sequence[Way], prompt: str = "") -> Sequence[Way]:
    """The same ways with the cheaper model before every other model and the agent.

    A workflow for this kind of message stays where it is: nobody else could do its work.
    """
    name = cheaper_model(settings)
    if not name:
        return ways
    cheap = provider_way(settings, *name.split("/", 1), prompt=prompt)
    if cheap is None:
        return ways
    model = getattr(cheap.answerer, "model", "")
    others = [
        way for way in ways if way.answerer.name != cheap.answerer.name or getattr(way.answerer, "model", "") != model
    ]
    at = next((number for number, way in enumerate(others) if not way.answerer.name.startswith(_WORKFLOW)), None)
    if at is None:  # nothing but workflows: the cheap model would change what they are for
        return ways if len(others) == len(ways) else [*others, cheap]
    return [*others[:at], cheap, *others[at:]]
