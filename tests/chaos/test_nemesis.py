"""The nemesis repeats itself exactly for a seed, and leaves no kind of fault out."""

from __future__ import annotations

import itertools
import random

from tests.chaos.history import PLATFORMS
from tests.chaos.nemesis import deck, deeds


def test_a_seed_decides_every_deed() -> None:
    first, again, other = (list(itertools.islice(deeds(random.Random(seed)), 40)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_kind_of_fault_comes_up_before_any_comes_up_again() -> None:
    for platforms in ((), PLATFORMS):
        whole = deck(platforms)
        assert sorted(itertools.islice(deeds(random.Random(3), platforms), len(whole))) == sorted(whole)


def test_bridges_die_where_their_platforms_are_served() -> None:
    assert {target for _, target in deck(PLATFORMS)} - {target for _, target in deck(())} == {"stream", "aim"}
