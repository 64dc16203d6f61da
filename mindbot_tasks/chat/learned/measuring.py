"""How good a classifier is on labelled examples: accuracy, macro-F1, what is taken for what, calibration."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from mindbot_tasks.chat.labels import GENERAL
from mindbot_tasks.chat.learned.examples import Labelled
from mindbot_tasks.chat.learned.model import FOLLOW_UP

_BINS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """An example, and what it was taken for."""

    example: Labelled
    label: str
    confidence: float

    @property
    def wanted(self) -> str:
        return alone(self.example.label)

    @property
    def given(self) -> str:
        return alone(self.label)

    @property
    def right(self) -> bool:
        return self.wanted == self.given


@dataclass(frozen=True, slots=True)
class OfLabel:
    """How a label fares."""

    label: str
    count: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Report:
    """The figures of some judged examples."""

    count: int
    right: int
    labels: list[OfLabel]
    confusion: dict[tuple[str, str], int]  #: (what it was, what it was taken for) -> how often
    calibration_error: float  #: mean distance of confidence and truth, 0 to 1

    @property
    def accuracy(self) -> float:
        return self.right / self.count if self.count else 0.0

    @property
    def macro_f1(self) -> float:
        wanted = [one for one in self.labels if one.count]
        return sum(one.f1 for one in wanted) / len(wanted) if wanted else 0.0


def alone(label: str) -> str:
    """The label as it counts for a message without a conversation."""
    return GENERAL if label == FOLLOW_UP else label


def report(judged: Sequence[Judged]) -> Report:
    """The figures."""
    confusion = Counter((one.wanted, one.given) for one in judged)
    names = sorted({name for pair in confusion for name in pair})
    labels = []
    for name in names:
        hits = confusion[name, name]
        wanted = sum(count for (is_, _), count in confusion.items() if is_ == name)
        given = sum(count for (_, taken), count in confusion.items() if taken == name)
        precision, recall = hits / given if given else 0.0, hits / wanted if wanted else 0.0
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        labels.append(OfLabel(name, wanted, precision, recall, f1))
    right = sum(one.right for one in judged)
    return Report(len(judged), right, labels, dict(confusion), calibration_error(judged))


def calibration_error(judged: Sequence[Judged]) -> float:
    """Expected calibration error in ten bins of confidence."""
    bins: dict[int, list[Judged]] = {}
    for one in judged:
        bins.setdefault(min(_BINS - 1, int(one.confidence * _BINS)), []).append(one)
    distance = sum(abs(sum(one.right for one in b) - sum(one.confidence for one in b)) for b in bins.values())
    return distance / len(judged) if judged else 0.0


def by_language(judged: Iterable[Judged]) -> dict[str, list[Judged]]:
    """The same, by language."""
    found: dict[str, list[Judged]] = {}
    for one in judged:
        found.setdefault(one.example.lang, []).append(one)
    return dict(sorted(found.items()))


def judge(examples: Sequence[Labelled], classify: Callable[[str], tuple[str, float]]) -> tuple[list[Judged], float]:
    """What each example is taken for, and the median time of that in milliseconds."""
    judged: list[Judged] = []
    took: list[float] = []
    for one in examples:
        started = perf_counter()
        label, confidence = classify(one.text)
        took.append(perf_counter() - started)
        judged.append(Judged(one, label, confidence))
    return judged, median(took) * 1000 if took else math.nan
