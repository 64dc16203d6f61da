"""What the bot remembers: of a conversation, and of people who asked for it."""

from __future__ import annotations

import zoneinfo
from typing import Annotated

from pydantic import AfterValidator

from mindbot_tasks.core import prompts
from mindbot_tasks.core.settings.section import AtLeastOne, Count, Section, Wrong
from mindbot_tasks.core.words import Sentence


def _check_prompt(template: str) -> str:
    if unknown := prompts.unknown_in(template):
        names = ", ".join(f"{{{name}}}" for name in unknown)
        known = ", ".join(f"{{{name}}}" for name in prompts.VARIABLES)
        raise Wrong(
            Sentence("settings.unknown_prompt_variable", names=names),
            Sentence("settings.prompt_variables", known=known, example=f"{{{{{unknown[0]}}}}}"),
        )
    return template


def _check_zone(name: str) -> str:
    if name:
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise Wrong(Sentence("settings.unknown_time_zone", name=name)) from exc
    return name


Prompt = Annotated[str, AfterValidator(_check_prompt)]  #: may hold {user_name}, {date} ...
TimeZone = Annotated[str, AfterValidator(_check_zone)]


class ContextSettings(Section):
    session_minutes: Count = 0  #: a longer silence ends a conversation; 0: none does
    summaries: bool = True  #: of what no longer fits into history_tokens
    summary_model: str = ""  #: "provider/model" or "model"; "" means: the models in their usual order
    summary_tokens: AtLeastOne = 400
    facts: bool = True  #: "remember that ...", /facts, /forget
    facts_tokens: Count = 500  #: of a prompt
    facts_most: AtLeastOne = 50  #: of one person
    facts_days: Count = 365  #: since they were told; 0: for ever
    time_zone: TimeZone = ""  #: of {date} and {time}; "" means: the machine's
