"""What is usual, and what will be: deviations from a seasonal baseline, and a straight line ahead. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HOUR_MS = 3_600_000
WEEK_HOURS = 168
#: hours that a baseline needs, and that a forecast needs
FEWEST_USUAL = 3
FEWEST_AHEAD = 3
#: a forecast looks back at most this far
BACK_HOURS = 24


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a metric, added up."""

    hour: int  #: since 1970
    count: int
    total: float
    squares: float

    @property
    def mean(self) -> float:
        return self.total / self.count


@dataclass(frozen=True, slots=True)
class Usual:
    """What the value normally is at this hour of the week."""

    mean: float
    deviation: float
    hours: int  #: how many hours it was learnt from

    def away(self, value: float) -> float:
        """How many usual deviations the value is above (or, negative, below)."""
        return (value - self.mean) / self.deviation


def usual(hours: Sequence[Hour], *, now: int, weeks: int) -> Usual | None:
    """From the same hour of earlier weeks and its neighbours; from the same hour of other days while that is too
    little; None while nobody can say.

    The hours that just passed are left out, or a trouble would soon look usual.
    """
    this = now // HOUR_MS
    past = [hour for hour in hours if hour.count and 2 < this - hour.hour <= weeks * WEEK_HOURS + 1]
    same_of_week = [hour for hour in past if _distance(hour.hour, this, WEEK_HOURS) <= 1]
    same_of_day = [hour for hour in past if _distance(hour.hour, this, 24) <= 1]
    for chosen in (same_of_week, same_of_day):
        if len(chosen) >= FEWEST_USUAL:
            return _spread(chosen)
    return None


def _distance(one: int, other: int, circle: int) -> int:
    apart = abs(one - other) % circle
    return min(apart, circle - apart)


def _spread(hours: Sequence[Hour]) -> Usual:
    count = sum(hour.count for hour in hours)
    mean = sum(hour.total for hour in hours) / count
    variance = max(0.0, sum(hour.squares for hour in hours) / count - mean * mean)
    # a metric that never moved would make every ripple an anomaly
    return Usual(mean, max(math.sqrt(variance), abs(mean) * 0.05, 1e-6), len(hours))


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through the last hours."""

    now: float
    per_hour: float

    def after(self, seconds: float) -> float:
        return self.now + self.per_hour * seconds / 3600

    def hours_until(self, limit: float) -> float | None:
        """None: it does not go there."""
        way = limit - self.now
        if way == 0:
            return 0.0
        return way / self.per_hour if self.per_hour and way / self.per_hour > 0 else None


def trend(hours: Sequence[Hour], value: float, *, now: int) -> Trend | None:
    """Least squares over the last day and the present value; None while there are too few hours."""
    this = now // HOUR_MS
    points = [
        (hour.hour + 0.5 - now / HOUR_MS, hour.mean)
        for hour in hours
        if hour.count and 0 < this - hour.hour <= BACK_HOURS
    ]
    if len(points) < FEWEST_AHEAD:
        return None
    points.append((0.0, value))
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    return Trend(value, slope)
