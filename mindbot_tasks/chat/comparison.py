"""The variants of an experiment, each compared with each other. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mindbot_tasks.chat.significance import holm, share_p, times_p
from mindbot_tasks.stores.tallies import Tally

#: p values below this count as real differences
REAL = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing in which two variants may differ."""

    one: str
    other: str
    what: Literal["success", "thumbs", "latency"]
    p: float | None  #: corrected for the number of comparisons; None: too few to tell
    better: str  #: "" when the difference may well be chance


def compare(sums: Mapping[str, Tally]) -> list[Comparison]:
    """Answers, thumbs and times of each pair of variants."""
    raw: dict[tuple[str, str, Literal["success", "thumbs", "latency"]], tuple[float | None, str]] = {}
    for (one, first), (other, second) in itertools.combinations(sums.items(), 2):
        raw[one, other, "success"] = _shares(one, _success(first), other, _success(second))
        raw[one, other, "thumbs"] = _shares(one, (first.up, first.up + first.down), other,
                                            (second.up, second.up + second.down))  # fmt: skip
        quicker = one if _mean(first) <= _mean(second) else other
        raw[one, other, "latency"] = (times_p(first.took, second.took), quicker)
    corrected = holm({"\x1f".join(key): p for key, (p, _) in raw.items()})
    found = []
    for (one, other, what), (_, better) in raw.items():
        p = corrected["\x1f".join((one, other, what))]
        found.append(Comparison(one, other, what, p, better if p is not None and p < REAL else ""))
    return found


def _success(tally: Tally) -> tuple[int, int]:
    return tally.answered, tally.asked + tally.unanswered


def _shares(one: str, first: tuple[int, int], other: str, second: tuple[int, int]) -> tuple[float | None, str]:
    p = share_p(*first, *second)
    if p is None:
        return None, ""
    return p, one if first[0] / first[1] >= second[0] / second[1] else other


def _mean(tally: Tally) -> float:
    """Mean place in the order of times, not of milliseconds: the test is about ranks."""
    count = sum(tally.took.values())
    return sum(bucket * times for bucket, times in tally.took.items()) / count if count else 0.0
