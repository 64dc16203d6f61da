"""The tests of significance, against those of scipy; Wilson's interval; comparisons of variants."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.chat import figures, significance
from mindbot_tasks.chat.comparison import compare
from mindbot_tasks.chat.recommendation import Recommendation, recommend
from mindbot_tasks.chat.tallying import bucket_of, middle_of
from mindbot_tasks.stores.tallies import Tally

TABLES = [(1, 9, 11, 3), (8, 2, 1, 5), (0, 10, 10, 0), (5, 5, 5, 5), (3, 0, 0, 4), (30, 70, 45, 55), (0, 5, 0, 9)]


@pytest.mark.parametrize("table", TABLES)
def test_fisher_is_fisher(table: tuple[int, int, int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b, c, d = table
    assert significance.fisher_p(a, b, c, d) == pytest.approx(stats.fisher_exact([[a, b], [c, d]])[1], rel=1e-9)


@pytest.mark.parametrize("table", [(450, 500, 400, 500), (90, 100, 95, 100), (500, 500, 500, 500), (1, 1000, 40, 900)])
def test_the_test_of_two_shares_is_chi_square_without_correction(table: tuple[int, int, int, int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    good, all_, other, others = table
    found = significance.proportions_p(good, all_, other, others)
    if good == all_ and other == others:
        assert found == 1.0
        return
    counts = [[good, all_ - good], [other, others - other]]
    assert found == pytest.approx(stats.chi2_contingency(counts, correction=False).pvalue, rel=1e-9)


@pytest.mark.parametrize(("first", "second"), [(1.0, 1.0), (1.0, 1.15), (1.0, 2.0)])
def test_times_are_compared_by_mann_whitney_with_ties(first: float, second: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    chance = random.Random(7)
    one = [bucket_of(int(chance.expovariate(1 / first) * 1000)) for _ in range(120)]
    other = [bucket_of(int(chance.expovariate(1 / second) * 1000)) for _ in range(90)]
    wanted = stats.mannwhitneyu(one, other, method="asymptotic", use_continuity=True).pvalue
    found = significance.times_p({b: one.count(b) for b in one}, {b: other.count(b) for b in other})
    assert found == pytest.approx(wanted, rel=1e-9)


def test_too_few_times_say_nothing() -> None:
    assert significance.times_p({1: 7}, {2: 100}) is None
    assert significance.times_p({1: 20}, {1: 20}) == 1.0


@given(a=st.integers(0, 60), b=st.integers(0, 60), c=st.integers(0, 60), d=st.integers(0, 60))
def test_any_two_shares_have_a_chance_or_nothing(a: int, b: int, c: int, d: int) -> None:
    p = significance.share_p(a, a + b, c, c + d)
    if a + b == 0 or c + d == 0:
        assert p is None
    else:
        assert p is not None
        assert 0 <= p <= 1
        assert p == pytest.approx(significance.share_p(c, c + d, a, a + b))


def test_wilson_is_wilson() -> None:
    stats = pytest.importorskip("scipy.stats")
    for good, all_ in ((0, 10), (1, 2), (9, 10), (80, 100), (100, 100)):
        wanted = stats.binomtest(good, all_).proportion_ci(method="wilson").low
        assert figures.wilson_low(good, all_) == pytest.approx(wanted, abs=1e-12)
    assert figures.wilson_low(0, 0) is None


def test_asking_again_is_half_a_thumb_down() -> None:
    loved, bored = Tally(up=8), Tally(up=8, reasked=4)
    assert figures.satisfaction(bored) == figures.wilson_low(8, 10)
    assert figures.satisfaction(loved) == figures.wilson_low(8, 8)
    assert figures.satisfaction(Tally(answered=100)) is None


@given(ms=st.integers(0, 10_000_000))
def test_a_time_comes_back_out_of_its_bucket_within_four_percent(ms: int) -> None:
    assert ms < 20 or math.isclose(middle_of(bucket_of(ms)), ms, rel_tol=0.04)


def test_quantiles_are_those_of_the_times() -> None:
    times = list(range(100, 10_100, 100))
    took: dict[int, int] = {}
    for ms in times:
        took[bucket_of(ms)] = took.get(bucket_of(ms), 0) + 1
    assert figures.quantile_s(took, 0.5) == pytest.approx(5.0, rel=0.05)
    assert figures.quantile_s(took, 0.95) == pytest.approx(9.5, rel=0.05)
    assert figures.quantile_s({}, 0.5) is None


def tally(answered: int, failed: int, bucket: int) -> Tally:
    return Tally(asked=answered + failed, answered=answered, took={bucket: answered, bucket + 1: answered // 2})


def test_a_real_difference_is_named_and_chance_is_not() -> None:
    compared = {(one.one, one.other, one.what): one for one in compare({
        "a": tally(900, 100, 100), "b": tally(990, 10, 90), "c": tally(905, 95, 100),
    })}  # fmt: skip
    assert compared["a", "b", "success"].better == "b"
    assert compared["a", "b", "latency"].better == "b"
    assert compared["a", "c", "success"].better == ""
    assert compared["a", "c", "latency"].better == ""
    assert compared["a", "b", "thumbs"].p is None


def test_of_equal_variants_few_are_called_different() -> None:
    chance = random.Random(3)
    wrong = 0
    for _ in range(300):
        sums = {name: tally(sum(chance.random() < 0.9 for _ in range(200)), 0, 50) for name in "ab"}
        for one in sums.values():
            one.asked = 200
        wrong += any(one.better for one in compare(sums) if one.what == "success")
    assert wrong <= 24, "at most 5 % and what chance adds"


def test_corrections_follow_holm() -> None:
    assert significance.holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


KNOWN = {"data": 1, "code": 1, "general_chat": 1}
STEPS = [("chat", "x", "data", 30), ("chat", "y", "code", 60), ("chat", "x", "general_chat", 50)]


def test_people_of_the_same_bot_count_most() -> None:
    of_x = recommend(STEPS, "chat", "x", KNOWN)
    assert [one.workflow for one in of_x] == ["data"]
    assert [one.workflow for one in recommend(STEPS, "chat", "y", KNOWN)] == ["code"]
    nobody_here = recommend(STEPS, "chat", "new", KNOWN)
    assert nobody_here == [Recommendation("code", 60 / 140, 60), Recommendation("data", 30 / 140, 30)]


def test_few_steps_recommend_nothing_and_neither_does_what_is_gone() -> None:
    assert recommend([("chat", "x", "data", 4)], "chat", "x", KNOWN) == []
    assert recommend([("chat", "x", "gone", 40)], "chat", "x", KNOWN) == []
