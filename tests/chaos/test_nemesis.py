"""The nemesis repeats itself exactly for a seed, and leaves no kind of fault out."""

from __future__ import annotations

import itertools
import random

from tests.chaos.nemesis import _DECK, deeds


def test_a_seed_decides_every_deed() -> None:
    first, again, other = (list(itertools.islice(deeds(random.Random(seed)), 40)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_kind_of_fault_comes_up_before_any_comes_up_again() -> None:
    assert sorted(itertools.islice(deeds(random.Random(3)), len(_DECK))) == sorted(_DECK)
