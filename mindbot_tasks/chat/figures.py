"""How well answerers did, in figures for people: shares, times, satisfaction. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mindbot_tasks.chat.tallying import middle_of
from mindbot_tasks.stores.tallies import Tally

Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one answerer, or one variant; None where nothing is known."""

    answerer: str
    variant: str
    calls: int  #: asked, and messages for it that nobody answered
    answered: int
    skipped: int  #: not asked, for breaker or limit
    success: float | None  #: share of the calls that it answered
    p50_s: float | None
    p95_s: float | None
    mean_s: float | None
    up: int
    down: int
    reasked: int
    satisfaction: float | None  #: lower end of what the share of satisfied people may be (95 %)
    recovery: float | None  #: share of its failures that another one answered
    errors: Mapping[str, int]


def figures(answerer: str, variant: str, tally: Tally) -> Figures:
    """The figures of these sums."""
    calls = tally.asked + tally.unanswered
    failures = tally.recovered + tally.unanswered
    return Figures(
        answerer,
        variant,
        calls,
        tally.answered,
        tally.skipped,
        tally.answered / calls if calls else None,
        quantile_s(tally.took, 0.5),
        quantile_s(tally.took, 0.95),
        tally.took_ms / tally.answered / 1000 if tally.answered else None,
        tally.up,
        tally.down,
        tally.reasked,
        satisfaction(tally),
        tally.recovered / failures if failures else None,
        dict(sorted(tally.errors.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def satisfaction(tally: Tally) -> float | None:
    """Lower end of the 95 % interval of the share of thumbs that went up; asking the same again is half a thumb down.

    None: nobody has said anything.
    """
    return wilson_low(tally.up, tally.up + tally.down + tally.reasked / 2)


def wilson_low(good: float, all_: float, z: float = Z95) -> float | None:
    """Lower end of Wilson's interval for a share of `good` in `all_`; few votes count for little.

    >>> [round(wilson_low(*votes), 2) for votes in ((1, 1), (10, 10), (100, 100), (50, 100))]
    [0.21, 0.72, 0.96, 0.4]
    """
    if all_ <= 0:
        return None
    share, square = good / all_, z * z
    middle = share + square / (2 * all_)
    spread = z * math.sqrt(max(0.0, share * (1 - share) / all_ + square / (4 * all_ * all_)))
    return max(0.0, (middle - spread) / (1 + square / all_))


def quantile_s(took: Mapping[int, int], share: float) -> float | None:
    """The time in seconds that this share of the answers took at most; within 4 %."""
    count = sum(took.values())
    if not count:
        return None
    wanted = share * count
    for bucket in sorted(took):
        wanted -= took[bucket]
        if wanted <= 0:
            return middle_of(bucket) / 1000
    return middle_of(max(took)) / 1000


def together(tallies: Mapping[tuple[str, str], Tally]) -> dict[str, Tally]:
    """The sums of each answerer, whatever variant it was asked as."""
    found: dict[str, Tally] = {}
    for (answerer, _), tally in tallies.items():
        found.setdefault(answerer, Tally()).add(tally)
    return found
