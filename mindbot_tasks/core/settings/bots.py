"""What every bot has, on whatever platform: whom it answers and when, its limits, and who answers for it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mindbot_tasks.core.settings.budgets import BudgetSettings
from mindbot_tasks.core.settings.context import ContextSettings, Prompt
from mindbot_tasks.core.settings.response import ResponseSettings
from mindbot_tasks.core.settings.section import Rate, Section, Wrong
from mindbot_tasks.core.settings.workflows import Pattern
from mindbot_tasks.core.words import Sentence


class BotSettings(Section):
    """`named_by` are the keys that name an entry of the list form, the first that is given."""

    named_by: ClassVar[tuple[str, ...]] = ("name",)

    name: str = ""
    enabled: bool = True

    # whom it answers
    answer_when: Literal["mention", "prefix", "always", "regex"] = "mention"  #: in groups
    prefix: str = ""
    pattern: Pattern = ""
    allow: list[str] = []  #: ids of people and groups; empty: everybody
    deny: list[str] = []
    admins: list[str] = []
    ignore_bots: bool = True
    user_rate: Rate = ""  #: of each person, in the whole fleet; "" means: none
    group_rate: Rate = ""
    budget: BudgetSettings | None = None  #: of this bot in a day; None: as budgets.bot
    user_budget: BudgetSettings | None = None  #: of each person on this bot; None: as budgets.user
    burst_window_s: Annotated[float, Field(ge=0, le=30)] = 0  #: 0: every message is a question of its own

    # who answers for it
    system_prompt: Prompt = ""  #: "" means: as the whole installation
    language: Literal["", "auto", "en", "zh"] = ""
    workflows: list[str] = []  #: empty: all
    default_workflow: str = ""
    tools: list[str] = []  #: of the agent, those that it may use here; empty: all that it has
    knowledge: list[str] | None = None  #: knowledge bases that it may search; None: the usual one; empty: none
    model: str = ""  #: "provider/model" or "model"; "" means: as provider_selection says
    context: ContextSettings | None = None  #: what it says goes before the installation's, key by key
    response: ResponseSettings | None = None
    show_routing: bool = False  #: under each answer, for everybody who reads it

    @model_validator(mode="after")
    def _says_when(self) -> BotSettings:
        needed = {"prefix": self.prefix, "regex": self.pattern}.get(self.answer_when, "-")
        if not needed.strip():
            key = "prefix" if self.answer_when == "prefix" else "pattern"
            raise Wrong(Sentence("settings.needs_key", key=key, value=f"answer_when: {self.answer_when}"))
        return self
