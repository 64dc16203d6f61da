"""The strategies of provider_selection: who is asked first."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.llm.selection import ENOUGH_CALLS, Candidate, arrange
from mindbot_tasks.stores.performance import Seen

FINE = Seen(100, 99, 99_000)  # a second each
SLOW = Seen(100, 100, 500_000)
SICK = Seen(100, 10, 1_000)


def order(candidates: list[Candidate], strategy: str, **options: Any) -> str:
    given: dict[str, Any] = {"threshold": 0.8, "cheapest": False, "turn": 0, "chance": lambda: 0.5}
    return "".join(arrange(candidates, strategy, **(given | options)))


def test_ordered_keeps_the_order_whatever_was_seen() -> None:
    assert order([Candidate("a", seen=SICK), Candidate("b", seen=FINE)], "ordered") == "ab"


def test_round_robin_takes_turns() -> None:
    three = [Candidate(name) for name in "abc"]
    assert [order(three, "round_robin", turn=turn) for turn in range(4)] == ["abc", "bca", "cab", "abc"]


@pytest.mark.parametrize("strategy", ["round_robin", "weighted", "performance_based"])
def test_a_sick_provider_goes_to_the_end_and_stays_there(strategy: str) -> None:
    mixed = [Candidate("a", weight=100, seen=SICK), Candidate("b", seen=SLOW), Candidate("c", seen=FINE)]
    for turn in range(3):
        assert order(mixed, strategy, turn=turn)[-1] == "a"


def test_nobody_is_judged_by_a_few_calls() -> None:
    few = Seen(ENOUGH_CALLS - 1, 0, 0)
    assert order([Candidate("a", seen=few), Candidate("b", seen=FINE)], "round_robin") == "ab"


def test_weights_are_shares_of_the_first_place() -> None:
    chance = random.Random(7).random
    three = [Candidate("a", weight=6), Candidate("b", weight=3), Candidate("c", weight=1), Candidate("z", weight=0)]
    firsts = Counter(order(three, "weighted", chance=chance)[0] for _ in range(10_000))
    assert [round(firsts[name] / 1000) for name in "abcz"] == [6, 3, 1, 0]


def test_the_fast_one_that_answers_goes_first() -> None:
    unreliable = Seen(100, 82, 41_000)  # half a second, but every fifth call fails
    three = [Candidate("a", seen=SLOW), Candidate("b", seen=unreliable), Candidate("c", seen=FINE)]
    assert order(three, "performance_based") == "bca"


def test_now_and_then_the_unknown_one_is_tried() -> None:
    two = [Candidate("a", seen=FINE), Candidate("b", seen=Seen(1, 0, 0))]
    assert order(two, "performance_based") == "ab"
    assert order(two, "performance_based", chance=lambda: 0.01) == "ba"


def test_the_cheapest_of_those_that_are_well() -> None:
    four = [
        Candidate("a", price=10.0),
        Candidate("b", price=None),
        Candidate("c", price=0.5),
        Candidate("d", price=0.0, seen=SICK),
    ]
    assert order(four, "ordered", cheapest=True) == "cabd"
    assert order(four, "round_robin", cheapest=True, turn=1) == "cabd"


@given(
    candidates=st.lists(
        st.builds(
            Candidate,
            st.uuids().map(str),
            st.floats(0, 1000),
            st.none() | st.floats(0, 1000),
            st.builds(lambda ok, bad, ms: Seen(ok + bad, ok, ms), *(st.integers(0, 100) for _ in range(3))),
        ),
        unique_by=lambda each: each.name,
        max_size=6,
    ),
    strategy=st.sampled_from(["ordered", "round_robin", "weighted", "performance_based"]),
    threshold=st.floats(0, 1),
    cheapest=st.booleans(),
    turn=st.integers(0),
    seed=st.integers(),
)  # fmt: skip
def test_everybody_is_asked_exactly_once(
    candidates: list[Candidate], strategy: str, threshold: float, cheapest: bool, turn: int, seed: int
) -> None:
    chance = random.Random(seed).random
    names = arrange(candidates, strategy, threshold=threshold, cheapest=cheapest, turn=turn, chance=chance)
    assert sorted(names) == sorted(each.name for each in candidates)


def test_every_place_of_a_round_is_taken_once() -> None:
    three = [Candidate(name) for name in "abc"]
    rounds = [order(three, "round_robin", turn=turn) for turn in range(3)]
    assert all(len(set(place)) == 3 for place in itertools.zip_longest(*rounds))
