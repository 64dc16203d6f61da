"""In which order providers are asked: the strategies of `provider_selection`, as plain functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mindbot_tasks.stores.performance import ENOUGH_CALLS, Seen

#: what an unknown provider is given credit for, so that a single bad call does not decide
PRIOR_CALLS = 4
#: share of the messages that go to whoever is known least, with `performance_based`
EXPLORE = 0.05


_UNKNOWN = Seen()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One provider as the strategies see it."""

    name: str
    weight: float = 1.0
    price: float | None = None  #: of a million tokens in and a quarter of that out; None: unknown
    seen: Seen = _UNKNOWN


Chance = Callable[[], float]
"""A random number from 0 up to 1."""


def arrange(
    candidates: Sequence[Candidate], strategy: str, *, threshold: float, cheapest: bool, turn: int, chance: Chance
) -> list[str]:
    """The names in the order in which to ask. `candidates` come in the order of the configuration.

    turn: counts messages, for `round_robin`. threshold: whoever answered less than this share of its calls goes to the
    end, except with `ordered`. cheapest: among those that are well, the cheaper goes first.
    """
    if strategy == "ordered" and not cheapest:
        return [each.name for each in candidates]
    well = [each for each in candidates if is_well(each.seen, threshold)]
    sick = sorted(
        (each for each in candidates if not is_well(each.seen, threshold)), key=lambda each: -each.seen.success
    )
    match strategy:
        case "round_robin":
            well = _in_turn(well, turn)
        case "weighted":
            well = _by_weight(well, chance)
        case "performance_based":
            well = _by_performance(well, chance)
        case _:
            pass
    if cheapest:
        well.sort(key=lambda each: float("inf") if each.price is None else each.price)
    return [each.name for each in (*well, *sick)]


def is_well(seen: Seen, threshold: float) -> bool:
    """Not judged before there were enough calls."""
    return seen.calls < ENOUGH_CALLS or seen.success >= threshold


def _in_turn(candidates: Sequence[Candidate], turn: int) -> list[Candidate]:
    if not candidates:
        return []
    first = turn % len(candidates)
    return [*candidates[first:], *candidates[:first]]


def _by_weight(candidates: Sequence[Candidate], chance: Chance) -> list[Candidate]:
    """Drawn without putting back, each with a chance in proportion to its weight; weight 0 only when all others fail.

    The keys u^(1/w) give just that (Efraimidis and Spirakis, 2006).
    """
    drawn = [(chance() ** (1 / each.weight) if each.weight > 0 else -1.0, each) for each in candidates]
    return [each for _, each in sorted(drawn, key=lambda pair: -pair[0])]


def _by_performance(candidates: Sequence[Candidate], chance: Chance) -> list[Candidate]:
    """Least time that an answer costs, its failures included; now and then whoever is known least goes first."""
    known = [each.seen.latency_s for each in candidates if each.seen.latency_s is not None]
    usual_s = sorted(known)[len(known) // 2] if known else 1.0

    def expected_s(each: Candidate) -> float:
        seen = each.seen
        latency_s = ((seen.latency_s or usual_s) * seen.ok + usual_s * PRIOR_CALLS) / (seen.ok + PRIOR_CALLS)
        success = (seen.ok + PRIOR_CALLS) / (seen.calls + PRIOR_CALLS)
        return latency_s / success

    best = sorted(candidates, key=expected_s)
    if len(best) > 1 and chance() < EXPLORE:
        unknown = min(best, key=lambda each: each.seen.calls)
        best.remove(unknown)
        best.insert(0, unknown)
    return best
