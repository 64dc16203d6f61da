"""Whether two variants of a workflow really differ: tests of significance in plain Python. Pure.

Shares (answered, thumbs): Fisher's exact test while numbers are small, else the z-test of two proportions with pooled
variance. Times: the Mann-Whitney U test with correction for ties, which times in buckets need. All are two-sided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

#: up to so many observations Fisher's test is exact and quick enough
_EXACT_UP_TO = 2000
#: below this expected count the z-test is not to be trusted
_EXPECTED = 5.0


def share_p(good: int, all_: int, other_good: int, other_all: int) -> float | None:
    """The chance of a difference of two shares at least this large if there were none; None: nothing to compare."""
    if all_ <= 0 or other_all <= 0:
        return None
    total = all_ + other_all
    goods = good + other_good
    least = min(goods, total - goods) * min(all_, other_all) / total
    if least < _EXPECTED and total <= _EXACT_UP_TO:
        return fisher_p(good, all_ - good, other_good, other_all - other_good)
    return proportions_p(good, all_, other_good, other_all)


def proportions_p(good: int, all_: int, other_good: int, other_all: int) -> float:
    """The two-sided z-test of two proportions, pooled."""
    pooled = (good + other_good) / (all_ + other_all)
    variance = pooled * (1 - pooled) * (1 / all_ + 1 / other_all)
    if variance <= 0:
        return 1.0
    return two_sided((good / all_ - other_good / other_all) / math.sqrt(variance))


def fisher_p(a: int, b: int, c: int, d: int) -> float:
    """Fisher's exact test of the table ((a, b), (c, d)): all tables as unlikely as this one, or more so."""
    row, other, column = a + b, c + d, a + c
    low, high = max(0, column - other), min(row, column)
    if low == high:
        return 1.0
    whole = _log_choose(row + other, column)
    logs = [_log_choose(row, k) + _log_choose(other, column - k) - whole for k in range(low, high + 1)]
    mine = logs[a - low] + 1e-7  # equal tables differ in their last digits
    return min(1.0, math.fsum(math.exp(log) for log in logs if log <= mine))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def times_p(took: Mapping[int, int], other: Mapping[int, int]) -> float | None:
    """The two-sided Mann-Whitney U test of two histograms with the same buckets; None: too few to say anything.

    By the normal approximation with corrections for ties and continuity, which is good from about eight observations
    each.
    """
    count, others = sum(took.values()), sum(other.values())
    if min(count, others) < 8:
        return None
    total, rank_sum, tied, before = count + others, 0.0, 0.0, 0
    for bucket in sorted({*took, *other}):
        mine, theirs = took.get(bucket, 0), other.get(bucket, 0)
        both = mine + theirs
        rank_sum += mine * (before + (both + 1) / 2)
        tied += both**3 - both
        before += both
    u = rank_sum - count * (count + 1) / 2
    variance = count * others / 12 * (total + 1 - tied / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    distance = abs(u - count * others / 2) - 0.5
    return two_sided(max(0.0, distance) / math.sqrt(variance))


def two_sided(z: float) -> float:
    """The chance of something at least this far from the middle of the normal distribution."""
    return math.erfc(abs(z) / math.sqrt(2))


def holm(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """The same p values, corrected for having looked at several things at once (Holm); None stays None.

    >>> holm({"a": 0.01, "b": 0.04, "c": None})
    {'a': 0.02, 'b': 0.04, 'c': None}
    """
    known = sorted((value, name) for name, value in values.items() if value is not None)
    corrected: dict[str, float | None] = dict.fromkeys(values)
    largest = 0.0
    for place, (value, name) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - place)))
        corrected[name] = largest
    return corrected
