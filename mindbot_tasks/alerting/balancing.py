"""Which SMS vendor is tried first where several share the load. Pure but for the count of this process."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Sequence

from mindbot_tasks.core.settings import SmsSettings
from mindbot_tasks.notifiers.base import Notifier

#: processes do not know of each other, so each begins somewhere else
_turns = itertools.count(random.randrange(1_000_000))  # noqa: S311


def next_turn() -> int:
    """The number of this message, for `in_turn`."""
    return next(_turns)


def in_turn(vendors: Sequence[Notifier], sms: SmsSettings, turn: int) -> list[Notifier]:
    """Whose turn it is, then the others in the order of failover."""
    if sms.strategy == "failover" or len(vendors) < 2:
        return list(vendors)
    names = tuple(vendor.name for vendor in vendors)
    weights = tuple(sms.providers[name].weight if name in sms.providers else 1 for name in names)
    if sms.strategy == "round_robin":
        weights = tuple(min(weight, 1) for weight in weights)
    round_ = sequence(names, weights)
    first = round_[turn % len(round_)] if round_ else names[0]
    return sorted(vendors, key=lambda vendor: vendor.name != first)


@functools.cache
def sequence(names: tuple[str, ...], weights: tuple[int, ...]) -> tuple[str, ...]:
    """One round, in which each has as many turns as its weight, spread evenly; who weighs 0 is a backup only.

    >>> sequence(("a", "b"), (3, 1))
    ('a', 'a', 'b', 'a')
    """
    total = sum(weights)
    credit = [0] * len(names)
    round_ = []
    for _ in range(total):
        credit = [have + weight for have, weight in zip(credit, weights, strict=True)]
        best = max(range(len(names)), key=lambda place: credit[place])
        credit[best] -= total
        round_.append(names[best])
    return tuple(round_)
