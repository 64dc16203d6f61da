"""What an answer says about how it came to be, and what it offers next: details for operators, lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm.registry import Route
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON, Part
from mindbot_tasks.stores.claims import Claim


def noted(answer: Answer, route: Route, held: Claim, settings: Settings, lang: Lang, *, offered: str = "") -> Answer:
    """The answer with its variant, with its route in debug mode, and with the lines that the settings ask for.

    offered: words of the workflow that people often go on with.
    """
    details: dict[str, JSON] = {}
    if route.variant:
        details["experiment"] = {"variant": route.variant, "answerer": route.variant_answerer}
    if settings.agent is not None and settings.agent.integration.debug_mode:
        details["routing"] = route.described()
    lines = []
    if offered:
        lines.append(say("routing.suggestion", lang, what=offered))
    if settings.bot(held.platform, held.bot).show_routing:
        lines.append(routing_line(held.label, held.classification, route, answer, lang))
    if not details and not lines:
        return answer
    # parts, and not the text: what is said about an answer does not belong into the history that models read
    parts = (*answer.parts, *(Part("markdown", line) for line in lines))
    return replace(answer, details={**answer.details, **details}, parts=parts)


def routing_line(label: str, classification: Mapping[str, Any], route: Route, answer: Answer, lang: Lang) -> str:
    """One line for who reads the answer: what the message was taken for, by which strategy, and who was asked."""
    tries = answer.details.get("tries")
    asked = [
        f"{one.get('answerer')} ({one.get('skipped') or one.get('kind') or one.get('outcome')})"
        for one in (tries if isinstance(tries, list) else [])
        if isinstance(one, dict)
    ]
    return say(
        "routing.line",
        lang,
        label=label,
        confidence=f"{float(classification.get('confidence', 0)):.0%}",
        strategy=route.strategy,
        asked=", ".join(asked) or "-",
    )
