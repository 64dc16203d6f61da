"""What may be spent in a day, and what happens then."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from mindbot_tasks.core.settings.section import AtLeastOne, Count, Section, Share, Wrong
from mindbot_tasks.core.words import Sentence


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as exc:
        raise Wrong(Sentence("settings.bad_timezone")) from exc
    return name


Zone = Annotated[str, AfterValidator(_check_zone)]


class BudgetSettings(Section):
    """The most of one day; 0 means: no such limit."""

    cost: Annotated[float, Field(ge=0)] = 0  #: in the currency of the prices
    tokens: Count = 0  #: in and out together
    soft: Share = 0.8  #: from this share on cheaper models answer; 1: never

    @property
    def limited(self) -> bool:
        return bool(self.cost or self.tokens)


_NONE = BudgetSettings()


class BudgetsSettings(Section):
    currency: str = ""  #: of all prices; only shown
    timezone: Zone = "UTC"  #: where a day begins
    installation: BudgetSettings = _NONE
    bot: BudgetSettings = _NONE  #: of each bot
    user: BudgetSettings = _NONE  #: of each person on each bot
    cheaper_model: str = ""  #: "provider/model" or "model"; "": the one with the lowest price
    keep_days: AtLeastOne = 400  #: of the totals
