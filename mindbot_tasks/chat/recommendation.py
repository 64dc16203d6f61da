"""Which workflow people like you went on with, from how often they did. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

#: what all bots say together counts like this many steps of one's own
PRIOR = 10.0
#: fewer steps say nothing
ENOUGH = 5
LEAST_SHARE = 0.1
MOST = 3


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A workflow, and the share of the people that went on with it."""

    workflow: str
    share: float
    times: int  #: in all bots together


def recommend(
    steps: Iterable[tuple[str, str, str, int]], platform: str, bot: str, known: Container[str]
) -> list[Recommendation]:
    """The workflows that followed most often, best first; `steps` are platform, bot, workflow and how often.

    The people of one's own bot count, smoothed by those of all others: a share is (own times + PRIOR x share among
    all) / (own steps + PRIOR). known: workflows that exist; the general one is no recommendation.
    """
    own: dict[str, int] = {}
    everybody: dict[str, int] = {}
    for of_platform, of_bot, workflow, times in steps:
        everybody[workflow] = everybody.get(workflow, 0) + times
        if (of_platform, of_bot) == (platform, bot):
            own[workflow] = own.get(workflow, 0) + times
    total, own_total = sum(everybody.values()), sum(own.values())
    if total < ENOUGH:
        return []
    found = [
        Recommendation(
            workflow, (own.get(workflow, 0) + PRIOR * times / total) / (own_total + PRIOR), times
        )
        for workflow, times in everybody.items()
        if workflow in known and workflow != "general_chat"
    ]  # fmt: skip
    found.sort(key=lambda one: (-one.share, one.workflow))
    return [one for one in found if one.share >= LEAST_SHARE][:MOST]
